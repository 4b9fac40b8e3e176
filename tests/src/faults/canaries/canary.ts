/** A known bug: what it is, what it breaks, and how it gets into a process of the node. */
export interface Canary {
  /** The promise it breaks. */
  readonly breaks: string
  readonly what: string
  /** Copies of a shard that there must be. */
  readonly replicas?: number
  /** Of them, how many must be in sync for writes; as the node has it if it is left out. */
  readonly minInSync?: number
  /** In a child. */
  release(): Promise<void> | void
  readonly releaseInCoordinator?: () => Promise<void>
}
