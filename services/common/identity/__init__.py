"""Who sends a request, and what the sender may do.

`principal` has the result, `api_keys` the site's keys, `authentication` the dependencies of routes, `settings` the
settings that gateway and DICOM node share, and `login` tells a page how to log in.
"""
