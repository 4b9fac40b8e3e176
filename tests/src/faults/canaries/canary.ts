/** A known bug: what it is, what it breaks, and how it gets into a process of the node. */
export interface Canary {
  /** The promise it breaks. */
  readonly breaks: string
  readonly what: string
  /** Copies of a shard that there must be. */
  readonly replicas?: number
  /** In a child. */
  release(): Promise<void> | void
  readonly releaseInCoordinator?: () => Promise<void>
}
