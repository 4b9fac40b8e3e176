/** `lock` and `unlock` in memory, by the same rules as on a node. */
import type { LockCall, LockEffect, LockView, UnlockCall } from '@kv/protocol'
import { decideLock, decideUnlock, writeLockOutcome } from '@kv/protocol'
import type { WireWriter } from '@kv/protocol'
import type { Draft } from './draft.js'

/** Returns why there is no place in the queue, if there is none. */
export function lock(call: LockCall, draft: Draft, answer: WireWriter): string | undefined {
  const { outcome, effects } = decideLock(call, viewOf(draft), draft.nowMs)
  if (outcome.type === 'full') return outcome.message
  for (const effect of effects) carryOut(effect, draft)
  writeLockOutcome(answer, outcome, draft.revision)
  return undefined
}

export function unlock(call: UnlockCall, draft: Draft, answer: WireWriter): void {
  const effects = decideUnlock(call, viewOf(draft))
  for (const effect of effects) carryOut(effect, draft)
  answer.boolean(effects.length > 0)
}

function viewOf(draft: Draft): LockView {
  return {
    find: (key) => {
      const found = draft.find(key)
      return found && { ...found, start: 0, end: found.bytes.length }
    },
  }
}

function carryOut(effect: LockEffect, draft: Draft): void {
  const { key } = effect
  if (effect.type === 'delete') draft.delete(key)
  // A copy: the memory is that of the message.
  else if (effect.type === 'put') draft.put(key, new Uint8Array(effect.bytes), effect.expiresAt)
  else draft.touch(key, { ...effect, bytes: new Uint8Array(effect.bytes) }, effect.expiresAt)
}
