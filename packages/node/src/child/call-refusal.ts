/**
 * Why a call can't be given to its shard, whatever the shard holds: a value is too large, or an
 * atomic batch reaches into other shards. The client says the same before it sends; this is for
 * those that don't, because a shard must never hold a key of another.
 */
import type { Call, SetCall } from '@kv/protocol'
import { crossShardProblem } from '@kv/protocol'
import type { Answer } from '../shard/answer.js'
import { fault } from '../shard/answer.js'

export interface CallLimits {
  readonly valueBytesMax: number
  readonly shardCount: number
}

/** The answer to a call that is not to be judged. */
export function refusalOf(call: Call, limits: CallLimits): Answer | undefined {
  if (call.type === 'set') return refusalOfValue(call, limits.valueBytesMax)
  if (call.type !== 'atomic') return undefined
  const problem = crossShardProblem(call.operations, limits.shardCount)
  if (problem !== undefined) return fault('CROSS_SHARD', problem)
  for (const operation of call.operations) {
    if (operation.type !== 'set') continue
    const refusal = refusalOfValue(operation, limits.valueBytesMax)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

function refusalOfValue({ key, start, end }: SetCall, bytesMax: number): Answer | undefined {
  if (end - start <= bytesMax) return undefined
  const why = `the value of '${key}' has ${end - start} bytes, this node takes ${bytesMax} at most`
  return fault('VALUE_TOO_LARGE', why)
}
