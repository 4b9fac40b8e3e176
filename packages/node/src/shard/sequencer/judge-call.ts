/** Which rules a write call is judged by. */
import type { WriteCall } from '@kv/protocol'
import type { Verdict } from './judge.js'
import { judge } from './judge.js'
import type { AtomicState } from './judge-atomic.js'
import { judgeAtomic } from './judge-atomic.js'
import { judgeLock, judgeUnlock } from './judge-lock.js'

export function judgeCall(call: WriteCall, state: AtomicState, nowMs: number): Verdict {
  if (call.type === 'atomic') return judgeAtomic(call, state, nowMs)
  if (call.type === 'lock') return judgeLock(call, state, nowMs)
  if (call.type === 'unlock') return judgeUnlock(call, state, nowMs)
  return judge(call, state, nowMs)
}
