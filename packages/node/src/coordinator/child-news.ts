/**
 * What the log says of children: what they report, and how they end.
 */
import type { Logger } from 'pino'
import type { FromChild } from '../link/control.js'
import type { ChildExit } from './child-process.js'
import type { NodeState } from './node-state.js'
import { shardOfState } from './node-state.js'
import { hostedCopy } from './shard-state.js'

/** Ends in a row from which on the log speaks of a crash loop. */
const CRASH_LOOP_ENDS = 3

export class ChildNews {
  private readonly log: Logger

  constructor(log: Logger) {
    this.log = log
  }

  onFailure(
    state: NodeState,
    child: number,
    { shard: id, hosting, reason, damaged }: Extract<FromChild, { type: 'failed' }>,
  ): void {
    const shard = shardOfState(state, id)
    const copy = hostedCopy(shard, child, hosting)?.copy
    const fields = { shard: id, copy, child, reason }
    if (!damaged) this.log.warn(fields, `shard ${id} could not be served; trying again`)
    else if (shard.copies.length > 1) this.log.error(fields, `a copy of shard ${id} is damaged`)
    else this.log.error(fields, `shard ${id} is damaged and stays unavailable`)
  }

  onSetRequest(
    child: number,
    { shard, epoch, change: { type, copy } }: Extract<FromChild, { type: 'askSet' }>,
  ): void {
    const what = type === 'add' ? 'has caught up' : 'does not keep up'
    this.log.info({ shard, epoch, copy, child }, `copy ${copy} of shard ${shard} ${what}`)
  }

  /** `state` is that after its exit: a child that has left is not in it any more. */
  onExit(state: NodeState, child: number, exit: ChildExit & { readonly pid: number }): void {
    const { pid: childPid, code, signal } = exit
    const how = signal ?? `code ${code}`
    const known = state.children[child - 1]
    if (known === undefined || known.isLeaving || (known.failures === 0 && code === 0)) {
      this.log.info({ child, childPid, code, signal }, `child ${child} has left (${how})`)
      return
    }
    const { failures, forkAtMs } = known
    const pauseMs = Math.max(0, Math.round(forkAtMs - performance.now()))
    const fields = { child, childPid, code, signal, failures, pauseMs }
    if (failures >= CRASH_LOOP_ENDS) {
      const text = `child ${child} keeps ending (${how}, ${failures} times): next start in ${pauseMs} ms`
      this.log.error(fields, text)
    } else this.log.warn(fields, `child ${child} ended (${how}) and is replaced`)
  }
}
