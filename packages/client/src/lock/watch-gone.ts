/**
 * Watches one key until it is gone. The current value comes first, so a key that is gone already is
 * found out too.
 */
import type { Clock } from '../clock.js'
import { WatchCore } from '../watch/watch-core.js'
import type { WatchHub } from '../watch/watch-hub.js'
import type { WatchGone } from './lock-calls.js'

/** Pause before who can't watch asks again. */
const RETRY_MS = 500

interface Watching {
  readonly watches: WatchHub
  readonly clock: Clock
}

export function watchGoneOf({ watches, clock }: Watching): WatchGone {
  return (key, onGone) => {
    const core = new WatchCore({ what: { keys: [key] }, since: undefined, initial: true }, watches)
    let isThere = false
    let isStopped = false
    let timer: unknown
    const stop = (): void => {
      if (isStopped) return
      isStopped = true
      core.onNews = undefined
      clock.clearTimer(timer)
      watches.remove(core)
      if (!core.isOver) core.drop()
    }
    const finish = (): void => {
      if (isStopped) return
      stop()
      onGone()
    }
    /** Whether what has come says that the key is gone. */
    const takeGone = (): boolean => {
      while (core.hasNews) {
        const type = takeType(core)
        if (type === 'set') isThere = true
        else if (type === 'reset') isThere = false
        else if (type !== 'ready' || !isThere) return true
      }
      return false
    }
    core.onNews = () => {
      const isGone = takeGone()
      if (!isGone && !core.isOver) return
      core.onNews = undefined
      // Not in the middle of what the hub is doing.
      if (isGone) queueMicrotask(finish)
      else timer = clock.setTimer(finish, RETRY_MS)
    }
    watches.add(core)
    return stop
  }
}

function takeType(core: WatchCore): string {
  try {
    return core.take().type
  } catch {
    // What stands there can't be decoded: somebody else wrote it.
    return 'set'
  }
}
