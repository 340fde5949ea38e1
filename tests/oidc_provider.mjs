// A provider of OpenID Connect for tests: `node oidc_provider.mjs FOLDER`. The configuration comes as JSON on stdin:
//   { modules, port, audience, redirect_uris, keys: [JWK], life_s, roles: {name: [role]} }
// POST /test/configuration changes a part of it: other keys, other lives of tokens. Grants and sessions stay.

import { createServer } from "node:http";
import { text } from "node:stream/consumers";

const configuration = JSON.parse(await text(process.stdin));
const { Provider } = await import(`${configuration.modules}/oidc-provider/lib/index.js`);
const issuer = `http://127.0.0.1:${configuration.port}`;

function newProvider() {
  const { audience, redirect_uris, keys, life_s, roles } = configuration;
  return new Provider(issuer, {
    clients: [
      {
        client_id: "page",
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code", "refresh_token"],
        redirect_uris,
        post_logout_redirect_uris: redirect_uris,
      },
      { client_id: "modality", client_secret: "secret-of-modality", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] },
    ],
    jwks: { keys },
    scopes: ["openid", "profile"],
    claims: { openid: ["sub"], profile: ["name", "roles"] },
    conformIdTokenClaims: false, // name and roles stand in the id token
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `Dr ${id}`, roles: roles[id] ?? [] }) }),
    extraTokenClaims: (_, token) => ({ roles: roles[token.accountId ?? token.clientId] ?? [] }),
    issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
    rotateRefreshToken: true,
    clientBasedCORS: () => true,
    pkce: { required: () => true },
    cookies: { keys: ["only for tests"] },
    ttl: { AccessToken: life_s, ClientCredentials: life_s, IdToken: 3600, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600 },
    features: {
      devInteractions: { enabled: true }, // a login that takes any name and password
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_, __, oneOf) => (Array.isArray(oneOf) ? oneOf[0] : oneOf) ?? audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: "", audience: resource, accessTokenTTL: configuration.life_s, accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
  });
}

let provider = newProvider();
createServer(async (request, response) => {
  if (request.url !== "/test/configuration") return provider.callback()(request, response);
  Object.assign(configuration, JSON.parse(await text(request)));
  provider = newProvider();
  response.end();
}).listen(configuration.port, "127.0.0.1");
