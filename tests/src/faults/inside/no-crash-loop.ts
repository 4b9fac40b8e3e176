/**
 * In a coordinator: a child that was killed is forked again at once, however often that was.
 *
 * A node takes ends in a row for a crash loop and waits up to 30 s before it tries again, which is
 * right where nobody kills on purpose. Here somebody does, every few hundred milliseconds, and a
 * child that waits is not there to be killed. Tests of their own hold the node to its pauses.
 */
import { prototypeOf, replace } from './built.js'

interface Child {
  readonly id: number
  readonly forkAtMs: number
}

interface Supervisor {
  current: { readonly children: readonly Child[] }
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
        const result = real.apply(this, args)
        const [{ type, child, nowMs = 0 }] = args as [Event]
        if (type !== 'exited') return result
        // It plans later in this turn, from what stands here then.
        const self = this as Supervisor
        const { children } = self.current
        const retry = (each: Child): Child => ({
          ...each,
          forkAtMs: Math.min(each.forkAtMs, nowMs),
        })
        self.current = {
          ...self.current,
          children: children.map((each) => (each.id === child ? retry(each) : each)),
        }
        return result
      },
  )
}
