/**
 * What one client asked for and what it was told: the line of a history.
 */
export type Value = string | number

/** What a read showed. `get` tells no version. */
export interface Found {
  readonly value: Value
  readonly version?: number | undefined
}

/** As `ifVersion` means it: a version, or `null` for «there is none». */
export type Condition = number | null

export type Action =
  | { readonly type: 'read'; readonly key: string }
  | {
      readonly type: 'set'
      readonly key: string
      /** Unique among all writes of a run: reads tell by it whose write they saw. */
      readonly value: Value
      readonly ifVersion?: Condition | undefined
      readonly ttlMs?: number | undefined
    }
  | { readonly type: 'delete'; readonly key: string; readonly ifVersion?: number | undefined }
  | { readonly type: 'increment'; readonly key: string; readonly by: number }
  | {
      readonly type: 'atomic'
      readonly checks: readonly { readonly key: string; readonly version: Condition }[]
      readonly sets: readonly { readonly key: string; readonly value: Value }[]
    }
  /** The end of the time of one write: a delete at a free moment of a window, of that value only. */
  | { readonly type: 'expire'; readonly key: string; readonly value: Value }

export interface Conflict {
  readonly key: string
  readonly current: Found | undefined
}

export type Answer =
  | { readonly type: 'read'; readonly found: Found | undefined }
  | { readonly type: 'written'; readonly version: number; readonly value?: number | undefined }
  | { readonly type: 'deleted'; readonly existed: boolean }
  | { readonly type: 'refused'; readonly conflicts: readonly Conflict[] }

export interface Operation {
  readonly client: number
  readonly action: Action
  /** Milliseconds of one monotonic clock. */
  readonly invokedAt: number
  /** `Infinity`: the outcome is unknown. It happened at any time after, or never. */
  readonly returnedAt: number
  /** `undefined`: what it was told is unknown, so any answer is legal. */
  readonly answer: Answer | undefined
}

export function isOpen(operation: Operation): boolean {
  return operation.returnedAt === Infinity
}

export function keysOf(action: Action): readonly string[] {
  if (action.type !== 'atomic') return [action.key]
  return [...new Set([...action.checks, ...action.sets].map(({ key }) => key))]
}

/** For reports. */
export function inWords({ client, action, invokedAt, returnedAt, answer }: Operation): string {
  const { type, ...rest } = action
  const end = returnedAt === Infinity ? '…' : returnedAt.toFixed(2)
  const told = answer === undefined ? 'unknown' : JSON.stringify(answer)
  return `${invokedAt.toFixed(2)}–${end} client ${client}: ${type} ${JSON.stringify(rest)} → ${told}`
}
