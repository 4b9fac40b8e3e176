/**
 * What the planner may decide. Each step stands by itself: it says all that is needed to change the
 * state (`node-state.ts`) and, once that is persisted, to tell a child (`supervisor.ts`).
 */
import type { Topology } from '@kv/protocol'
import type { InSync } from '../link/control.js'

/** A copy, the child that hosts it, and the number of that hosting. */
interface OnCopy {
  readonly shard: number
  readonly copy: number
  readonly child: number
  readonly hosting: number
  /** When it was decided; monotonic. */
  readonly atMs: number
}

export type Step =
  | { readonly type: 'fork'; readonly child: number }
  /** The copy is to be primary of a new epoch, with this set; one open as backup where it is. */
  | (OnCopy & { readonly type: 'open'; readonly epoch: number; readonly inSync: InSync })
  /** The copy is to be hosted as backup; one that is, to follow another primary. */
  | (OnCopy & {
      readonly type: 'back'
      /** The epoch of the primary to follow; 0 for none yet. */
      readonly follows: number
      /** Who hosts that primary; `NO_CHILD` for none yet. */
      readonly primaryChild: number
    })
  | (OnCopy & { readonly type: 'release' })
  /** The primary learns which set was persisted. */
  | {
      readonly type: 'tell'
      readonly shard: number
      readonly child: number
      readonly epoch: number
      readonly inSync: InSync
    }
  /** The child has nothing to host any more and is to end by itself. */
  | { readonly type: 'retire'; readonly child: number }
  /** The child is to be killed. */
  | { readonly type: 'condemn'; readonly child: number; readonly why: string }
  | { readonly type: 'publish'; readonly topology: Topology }

export type ShardStep = Exclude<Step, { readonly type: 'fork' | 'retire' | 'condemn' | 'publish' }>
