"""Access tokens of an OpenID provider, as bearer tokens (RFC 6750, RFC 9068).

`provider` fetches the signing keys, `json_web_keys` reads them, `signing_keys` keeps them while they rotate, `claims`
checks the content of a token, and `verifier` puts these together.
"""
