// One walk through the server with oauth4webapi, which knows it by its issuer alone: obtain a token, exchange it for
// a child's, refresh that, introspect, verify offline, revoke. What it is to do comes as JSON on standard input, what
// it saw leaves as JSON on standard output; whatever the library finds wrong with an answer ends it with an error.
import { readFileSync } from 'node:fs'
import * as oauth from 'oauth4webapi'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
// Plain HTTP, for the server is on the loopback.
const plain = { [oauth.allowInsecureRequests]: true }

const asked = JSON.parse(readFileSync(0, 'utf8'))
const issuer = new URL(asked.issuer)
const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain })
const as = await oauth.processDiscoveryResponse(issuer, discovered)

const orchestrator = await register('orchestrator')
const reviewer = await register('reviewer')

const root = await oauth.processClientCredentialsResponse(
  as,
  orchestrator.client,
  await oauth.clientCredentialsGrantRequest(
    as,
    orchestrator.client,
    orchestrator.auth,
    { scope: 'file_read:github', task_id: 'walk' },
    plain,
  ),
)

const child = await oauth.processGenericTokenEndpointResponse(
  as,
  reviewer.client,
  await oauth.genericTokenEndpointRequest(
    as,
    reviewer.client,
    reviewer.auth,
    EXCHANGE,
    {
      subject_token: root.access_token,
      subject_token_type: ACCESS_TOKEN,
      requested_token_type: ACCESS_TOKEN,
      scope: 'file_read:github/pull/7',
      task_id: 'walk/1',
    },
    plain,
  ),
)

const refreshed = await oauth.processRefreshTokenResponse(
  as,
  reviewer.client,
  await oauth.refreshTokenGrantRequest(as, reviewer.client, reviewer.auth, child.refresh_token, plain),
)

// As a resource server sees it: nothing but the token, the metadata and the keys.
const presented = new Request(asked.audience, {
  headers: { authorization: `Bearer ${refreshed.access_token}` },
})
const claims = await oauth.validateJwtAccessToken(as, presented, asked.audience, plain)

const before = await introspect(refreshed.access_token)
await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, orchestrator.client, orchestrator.auth, root.access_token, plain),
)
const after = await introspect(refreshed.access_token)

let replayed = null
try {
  await oauth.processRefreshTokenResponse(
    as,
    reviewer.client,
    await oauth.refreshTokenGrantRequest(as, reviewer.client, reviewer.auth, child.refresh_token, plain),
  )
} catch (error) {
  if (!(error instanceof oauth.ResponseBodyError)) throw error
  replayed = { error: error.error, status: error.status }
}

let intruder = null
try {
  await oauth.processClientCredentialsResponse(
    as,
    orchestrator.client,
    await oauth.clientCredentialsGrantRequest(
      as,
      orchestrator.client,
      oauth.ClientSecretBasic('not the secret'),
      {},
      plain,
    ),
  )
} catch (error) {
  if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error
  intruder = { scheme: error.cause[0].scheme, status: error.status }
}

process.stdout.write(
  JSON.stringify({ as, root, child, refreshed, claims, before, after, replayed, intruder }),
)

/** An agent by dynamic registration (RFC 7591), confirmed, with its way to authenticate. */
async function register(name) {
  const keys =
    asked.method === 'private_key_jwt'
      ? await oauth.generateKeyPair(asked.alg, { extractable: true })
      : null
  const metadata = {
    client_name: name,
    token_endpoint_auth_method: asked.method,
    allowed_tools: ['file_read'],
    resource_access: ['github'],
    ...(keys && { jwks: { keys: [await publicJwk(keys)] } }),
  }
  const client = await oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(as, metadata, {
      initialAccessToken: asked.admin_token,
      ...plain,
    }),
  )
  // An extension of this server, which no library knows.
  const confirmed = await fetch(as.registration_confirmation_endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ registration_token: client.registration_token }),
  })
  if (!confirmed.ok) throw new Error(await confirmed.text())
  return { client, auth: await authentication(client, keys) }
}

async function authentication(client, keys) {
  switch (asked.method) {
    case 'client_secret_basic':
      return oauth.ClientSecretBasic(client.client_secret)
    case 'client_secret_post':
      return oauth.ClientSecretPost(client.client_secret)
    default:
      return oauth.PrivateKeyJwt({ key: keys.privateKey, kid: 'only' })
  }
}

async function publicJwk(keys) {
  return { ...(await crypto.subtle.exportKey('jwk', keys.publicKey)), kid: 'only', alg: asked.alg }
}

async function introspect(token) {
  const response = await oauth.introspectionRequest(as, reviewer.client, reviewer.auth, token, plain)
  return oauth.processIntrospectionResponse(as, reviewer.client, response)
}
