/**
 * Whether a web page may connect. A browser tells where the page came from; other clients send no
 * origin.
 *
 * Any page in the world can open a WebSocket to this machine's loopback address. Without a token
 * that would be access to the data, so only pages that this machine serves itself are let in. With
 * a token the page has to know it: the origin proves nothing more.
 */

export interface OriginRules {
  readonly hasToken: boolean
  /** Let in besides, such as `https://app.example.com`. */
  readonly allowed: readonly string[]
}

export function isOriginAllowed(origin: string | undefined, rules: OriginRules): boolean {
  if (origin === undefined || rules.hasToken || rules.allowed.includes(origin)) return true
  return URL.canParse(origin) && isLoopback(new URL(origin).hostname)
}

/** Whether a host name or address can only mean this machine. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name)
}
