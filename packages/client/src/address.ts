/**
 * Addresses of nodes, as users write them, to WebSocket URLs. Pure.
 *
 * `kv://host:port` is `ws://`, `kvs://` is `wss://`, both of port 7400 unless they say another;
 * `ws://` and `wss://` are taken as they are. Several hosts stand behind commas or in an array.
 */
const PORT_DEFAULT = 7400

export const ADDRESS_DEFAULT: string = `kv://127.0.0.1:${PORT_DEFAULT}`

const SCHEMES: Readonly<Record<string, string>> = { kv: 'ws', kvs: 'wss', ws: 'ws', wss: 'wss' }

/** At least one URL. Throws `TypeError` for what is no address. */
export function webSocketUrls(address: string | readonly string[]): string[] {
  const given: unknown[] = typeof address === 'string' ? [address] : Array.from(address)
  const urls = given.flatMap((part) => {
    if (typeof part !== 'string') throw new TypeError('an address is a string')
    return splitHosts(part)
  })
  if (urls.length === 0) throw new TypeError('no address of a node was given')
  return urls
}

/** Hosts after the first have its scheme unless they say another. */
function splitHosts(address: string): string[] {
  let scheme = ''
  return address.split(',').map((part) => {
    const text = part.trim()
    const separator = text.indexOf('://')
    if (separator >= 0) scheme = text.slice(0, separator).toLowerCase()
    return webSocketUrl(scheme, separator >= 0 ? text.slice(separator + 3) : text, address)
  })
}

function webSocketUrl(scheme: string, rest: string, address: string): string {
  const webSocketScheme = SCHEMES[scheme]
  const isOwnScheme = scheme === 'kv' || scheme === 'kvs'
  const authority = rest.split(/[/?#]/, 1)[0] ?? ''
  const hasPort = /:\d+$/.test(authority)
  const path = rest.slice(authority.length)
  const host = isOwnScheme && !hasPort ? `${authority}:${PORT_DEFAULT}` : authority
  if (webSocketScheme === undefined || authority === '') throw invalid(address)
  try {
    return new URL(`${webSocketScheme}://${host}${path}`).href
  } catch {
    throw invalid(address)
  }
}

function invalid(address: string): TypeError {
  return new TypeError(
    `${JSON.stringify(address)} is not an address: kv://host:port, kvs://, ws:// or wss:// is due`,
  )
}
