/** What passes between the process that plans and the one in which a store's client runs. */
import type { ContenderName } from '../contender-names.js'
import type { Load, Measurement } from '../loads/load.js'

export type Command =
  | { readonly do: 'start'; readonly contender: ContenderName }
  /** So many keys, each with a value of that size. What is there already is not written again. */
  | { readonly do: 'fill'; readonly keys: number; readonly valueBytes: number }
  | { readonly do: 'run'; readonly load: Load; readonly seconds: number; readonly seed: number }
  | { readonly do: 'memory' }
  | { readonly do: 'restart'; readonly keys: number }

export interface Answers {
  readonly start: Started
  readonly fill: null
  readonly run: Ran
  /** Bytes; `null` where that is not known. */
  readonly memory: number | null
  /** Milliseconds until it answered again; `null` if it can't be killed. */
  readonly restart: number | null
}

export type Started =
  | { readonly name: string; readonly settings: string }
  | { readonly name: string; readonly absent: string }

/** A store without such a call has no figure, and that is no fault of it. */
export type Ran = Measurement | { readonly noCall: string }

export type Reply = { readonly answer: Answers[Command['do']] } | { readonly failed: string }
