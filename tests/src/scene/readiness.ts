/**
 * What a node says of itself over HTTP: `/readyz`.
 */
export interface Readiness {
  readonly status: number
  readonly ready: boolean
  readonly missing: readonly { readonly shard: number; readonly reason: string }[]
}

export async function readinessOf(url: string, signal?: AbortSignal): Promise<Readiness> {
  const response = await fetch(`${httpOf(url)}/readyz`, signal === undefined ? {} : { signal })
  const body = (await response.json()) as Omit<Readiness, 'status'>
  return { status: response.status, ...body }
}

/** `kv://host:port` as `http://host:port`. */
export function httpOf(url: string): string {
  return url.replace(/^kv:/, 'http:')
}
