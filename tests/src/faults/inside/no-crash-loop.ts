/**
 * In a coordinator: a child that was killed is forked again at once, and what it was opening is opened
 * again at once, however often that was.
 *
 * A node takes ends in a row for a crash loop and waits up to 30 s before it tries again, which is
 * right where nobody kills on purpose. Here somebody does, every few hundred milliseconds: a child that
 * waits is not there to be killed, and of a shard that waits nobody asks anything. Tests of their own
 * hold the node to its pauses.
 */
import { prototypeOf, replace } from './built.js'

interface Child {
  readonly id: number
  readonly forkAtMs: number
}

interface Copy {
  readonly child: number
  readonly retryAtMs: number
}

interface Shard {
  readonly copies: readonly Copy[]
}

interface Supervisor {
  current: { readonly children: readonly Child[]; readonly shards: readonly Shard[] }
}

interface Event {
  readonly type: string
  readonly child?: number
  readonly nowMs?: number
}

export async function forgetCrashLoops(): Promise<void> {
  const supervisors = await prototypeOf('coordinator/supervisor.js', 'Supervisor')
  replace(
    supervisors,
    'observe',
    (real) =>
      function observe(this: unknown, ...args) {
        const self = this as Supervisor
        const former = self.current.shards
        const result = real.apply(this, args)
        const [{ type, child, nowMs = 0 }] = args as [Event]
        if (type !== 'exited') return result
        // It plans later in this turn, from what stands here then.
        const { children, shards } = self.current
        self.current = {
          ...self.current,
          children: children.map((each) =>
            each.id === child ? { ...each, forkAtMs: Math.min(each.forkAtMs, nowMs) } : each,
          ),
          shards: shards.map((shard, id) =>
            shard === former[id] ? shard : withoutPause(shard, child, nowMs),
          ),
        }
        return result
      },
  )
}

/** Of what this child let go of. */
function withoutPause(shard: Shard, child: number | undefined, nowMs: number): Shard {
  const copies = shard.copies.map((copy) =>
    copy.child === child ? { ...copy, retryAtMs: Math.min(copy.retryAtMs, nowMs) } : copy,
  )
  return { ...shard, copies }
}
