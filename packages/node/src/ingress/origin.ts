/**
 * Whether a web page may connect. A browser tells where the page came from (`Origin`) and by which
 * name it found the node (`Host`); a page can't change either. Other clients send no origin.
 *
 * Any page in the world can open a WebSocket to this machine's loopback address, so a page is let
 * in only if it is listed, comes from this machine, or from the node's own host. The last needs
 * care: whoever owns a name can make it lead to 127.0.0.1 (DNS rebinding), and then their page is
 * of "the same host". Without a token the node listens on loopback only, where no foreign name can
 * be its own; with a token a page has to know it, whatever its name.
 */

export interface OriginRules {
  readonly hasToken: boolean
  /** Let in besides, such as `https://app.example.com`. */
  readonly allowed: readonly string[]
}

/** Two headers of a request. */
export interface Visitor {
  readonly origin?: string | undefined
  readonly host?: string | undefined
}

export function isOriginAllowed({ origin, host }: Visitor, rules: OriginRules): boolean {
  if (origin === undefined || rules.allowed.includes(origin)) return true
  const name = hostNameOf(origin)
  if (name === undefined) return false
  if (isLoopback(name)) return true
  return rules.hasToken && name === hostNameOf(`http://${host ?? ''}`)
}

/**
 * Whether a request without an origin may be a page's all the same, one that reads from what it
 * takes for its own host: then nothing may be told that only the token, or this machine, opens.
 */
export function isHostAllowed({ host }: Visitor, rules: OriginRules): boolean {
  const name = hostNameOf(`http://${host ?? ''}`)
  if (name === undefined) return false
  if (rules.hasToken || isLoopback(name)) return true
  return rules.allowed.some((origin) => hostNameOf(origin) === name)
}

/** Whether a host name or address can only mean this machine. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name)
}

/** In lower case, without a port; undefined if there is none. */
function hostNameOf(url: string): string | undefined {
  const name = URL.canParse(url) ? new URL(url).hostname : ''
  return name === '' ? undefined : name
}
