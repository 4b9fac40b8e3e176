/**
 * Hears the aborts of signals, with one listener per signal however many calls share it.
 *
 * Thousands of listeners on one signal are slow to take off, and Node warns of a leak at eleven.
 */
type OnAbort = () => void

interface WatchedSignal {
  readonly waiting: Set<OnAbort>
  readonly listener: () => void
}

const watched = new WeakMap<AbortSignal, WatchedSignal>()

/** Calls `onAbort` once if the signal aborts. Returns the function that takes it off. */
export function watchAbort(signal: AbortSignal, onAbort: OnAbort): () => void {
  const { waiting, listener } = watched.get(signal) ?? watch(signal)
  // A function of its own, so that one given twice is called twice.
  const entry = (): void => {
    onAbort()
  }
  waiting.add(entry)
  return () => {
    if (!waiting.delete(entry) || waiting.size > 0) return
    signal.removeEventListener('abort', listener)
    watched.delete(signal)
  }
}

function watch(signal: AbortSignal): WatchedSignal {
  const waiting = new Set<OnAbort>()
  const listener = (): void => {
    watched.delete(signal)
    const called = Array.from(waiting)
    waiting.clear()
    for (const onAbort of called) onAbort()
  }
  const made = { waiting, listener }
  watched.set(signal, made)
  signal.addEventListener('abort', listener, { once: true })
  return made
}
