// The authorization code grant with oauth4webapi: PKCE, state, and the issuer in the answer (RFC 9207). What it is to do
// comes as the first line of standard input; it prints the address to send a person to, reads where they were sent back
// to from the next line, and prints what it saw. Whatever the library finds wrong ends it with an error.
import { createInterface } from 'node:readline'
import * as oauth from 'oauth4webapi'

const plain = { [oauth.allowInsecureRequests]: true }
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const next = async () => (await lines.next()).value

const asked = JSON.parse(await next())
const issuer = new URL(asked.issuer)
const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain })
const as = await oauth.processDiscoveryResponse(issuer, discovered)
const client = { client_id: asked.client_id }
const auth = oauth.ClientSecretBasic(asked.client_secret)

const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const url = new URL(as.authorization_endpoint)
url.search = new URLSearchParams({
  client_id: client.client_id,
  redirect_uri: asked.redirect_uri,
  response_type: 'code',
  scope: 'file_read:github',
  task_id: 'code walk',
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
})
console.log(url.href)

const answer = oauth.validateAuthResponse(as, client, new URL(await next()), state)
const tokens = await oauth.processAuthorizationCodeResponse(
  as,
  client,
  await oauth.authorizationCodeGrantRequest(as, client, auth, answer, asked.redirect_uri, verifier, plain),
)
const presented = new Request(asked.audience, { headers: { authorization: `Bearer ${tokens.access_token}` } })
const claims = await oauth.validateJwtAccessToken(as, presented, asked.audience, plain)
console.log(JSON.stringify({ tokens, claims }))
process.exit(0)
