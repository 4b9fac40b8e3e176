/**
 * What the node measures of itself, again and again. These are figures about the node, not data of
 * it: they come from `/stats`, as they would for an operator.
 */
export interface ShardFigures {
  readonly id: number
  readonly primary: number
  readonly state: string
  readonly keys?: number
  readonly readsPerSecond?: number
  readonly writesPerSecond?: number
}

export interface ChildFigures {
  readonly id: number
  readonly pid: number
  readonly rssBytes: number
}

export interface NodeFigures {
  readonly coordinator: { readonly pid: number; readonly connections: number }
  readonly children: readonly ChildFigures[]
  readonly shards: readonly ShardFigures[]
}

const INTERVAL_MS = 1_000

/** Calls one of the two about once a second, for as long as the page is seen. */
export function watchStats(
  url: string,
  onFigures: (figures: NodeFigures) => void,
  onFailure: (error: unknown) => void,
): void {
  const address = `${url.replace(/^kv:/, 'http:').replace(/^kvs:/, 'https:')}/stats`
  const ask = async (): Promise<void> => {
    if (!document.hidden) {
      try {
        const response = await fetch(address)
        if (!response.ok) throw new Error(`/stats answers ${response.status}`)
        onFigures((await response.json()) as NodeFigures)
      } catch (error) {
        onFailure(error)
      }
    }
    setTimeout(() => void ask(), INTERVAL_MS)
  }
  void ask()
}
