/**
 * Who waits for a node to have scaled: settles the promises of `node.scale`.
 *
 * There is one target at a time. A later call with another number replaces it, and whoever waits for
 * the former learns that.
 */
import { KvError } from '@kv/protocol'
import type { NodeState } from './node-state.js'
import { CHILD_ENDS_MAX, isSettled } from './settled.js'

interface Waiting {
  readonly children: number
  readonly settled: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: KvError) => void
}

export class Scaling {
  private waiting: Waiting | undefined

  /** Resolves when the node has so many children and nothing is left to move. */
  wait(children: number): Promise<void> {
    if (this.waiting?.children === children) return this.waiting.settled
    this.fail('CONFLICT', `the node is scaled to ${children} children instead`)
    const { promise: settled, resolve, reject } = withResolvers()
    this.waiting = { children, settled, resolve, reject }
    return settled
  }

  /** To be called when something has changed. `nowMs` is monotonic. */
  onChange(state: NodeState, nowMs: number): void {
    const { waiting } = this
    if (waiting === undefined) return
    const looping = state.children.find(
      ({ failures, isLeaving }) => failures >= CHILD_ENDS_MAX && !isLeaving,
    )
    if (looping !== undefined) {
      const why = `child ${looping.id} ended ${looping.failures} times in a row`
      this.fail('UNAVAILABLE', `the node could not be scaled yet: ${why}; it goes on trying`)
    } else if (isSettled(state, nowMs)) {
      this.waiting = undefined
      waiting.resolve()
    }
  }

  /** The node closes. What it was to have is on disk: it goes on at its next start. */
  end(): void {
    this.fail('CLOSED', 'the node was closed while it scaled; its next start goes on')
  }

  private fail(code: 'CONFLICT' | 'UNAVAILABLE' | 'CLOSED', message: string): void {
    const { waiting } = this
    this.waiting = undefined
    waiting?.reject(new KvError(code, message, { outcome: 'unknown' }))
  }
}

function withResolvers(): Pick<Waiting, 'resolve' | 'reject'> & { promise: Promise<void> } {
  let resolve!: Waiting['resolve']
  let reject!: Waiting['reject']
  const promise = new Promise<void>((onDone, onError) => {
    resolve = onDone
    reject = onError
  })
  return { promise, resolve, reject }
}
