/**
 * What `watch` hands out: an async iterable over a watch, to be used once.
 *
 * Nothing is asked before the first event is; errors come there too. `break`, an abort of `signal`,
 * and the end of an `await using` let go of everything at the node.
 */
import type { WatchSelection } from '@kv/protocol'
import { assertKey, assertKeyText, KvError, utf8Length, WATCH_KEYS_MAX } from '@kv/protocol'
import { watchAbort } from '../abort-watch.js'
import { assertBoolean, timeoutOf } from '../call-options.js'
import type { Clock } from '../clock.js'
import type { WatchOptions } from '../keyspace.js'
import { assertOptions, WATCH_OPTIONS } from '../known-options.js'
import { mistakeIn } from '../mistakes.js'
import { decodeWatchCursor } from './watch-cursor.js'
import type { CoreEvent } from './watch-core.js'
import { WatchCore } from './watch-core.js'
import type { WatchHub } from './watch-hub.js'

/** Bytes of keys that one watch may list: they travel in one message. */
const KEYS_BYTES_MAX = 1_048_576

/** How a namespace shows an event: under its own key, or not at all. */
export type PresentEvent = (event: CoreEvent) => CoreEvent | undefined

export interface KeyWatchPorts {
  readonly hub: WatchHub
  readonly clock: Clock
  readonly present?: PresentEvent | undefined
}

type Result = IteratorResult<CoreEvent, undefined>

interface Waiter {
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

const DONE: Result = { done: true, value: undefined }

export class KeyWatch implements AsyncIterable<CoreEvent>, AsyncDisposable {
  private readonly what: unknown
  private readonly options: WatchOptions
  private readonly ports: KeyWatchPorts
  private readonly waiters: Waiter[] = []
  private core: WatchCore | undefined = undefined
  private stopListening: (() => void) | undefined = undefined
  private timer: unknown
  private isUsed = false
  private isReleased = false
  private failure: { readonly error: unknown } | undefined = undefined

  constructor(what: unknown, options: WatchOptions, ports: KeyWatchPorts) {
    this.what = what
    this.options = options
    this.ports = ports
  }

  [Symbol.asyncIterator](): AsyncIterator<CoreEvent, undefined> {
    if (this.isUsed) {
      const error = new TypeError('a watch can be used once: call watch() again')
      return { next: () => Promise.reject(error) }
    }
    this.isUsed = true
    return {
      next: () => this.next(),
      return: () => {
        this.release()
        return Promise.resolve(DONE)
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
  }

  private next(): Promise<Result> {
    if (this.core === undefined && !this.isReleased && this.failure === undefined) {
      try {
        this.start()
      } catch (error) {
        this.fail(mistakeIn('watch', this.what, error))
      }
    }
    return new Promise((resolve, reject) => {
      this.waiters.push({ resolve, reject })
      this.serve()
    })
  }

  private start(): void {
    const { options, ports } = this
    assertOptions(options, WATCH_OPTIONS)
    const { signal, since, initial = false } = options
    assertBoolean('initial', initial)
    const timeoutMs = timeoutOf(options.timeout)
    const what = selectionOf(this.what)
    const cursor = since === undefined ? undefined : decodeWatchCursor(since, what)
    signal?.throwIfAborted()
    const core = new WatchCore({ what, since: cursor, initial }, ports.hub)
    this.core = core
    core.onNews = () => {
      this.serve()
    }
    if (signal !== undefined) {
      this.stopListening = watchAbort(signal, () => {
        this.fail(signal.reason)
      })
    }
    if (timeoutMs !== undefined) {
      this.timer = ports.clock.setTimer(() => {
        this.fail(new KvError('TIMEOUT', `the watch was not ready within ${timeoutMs} ms`))
      }, timeoutMs)
    }
    ports.hub.add(core)
  }

  /** Hands out what is there to those who wait. */
  private serve(): void {
    while (this.waiters.length > 0) {
      const result = this.nextResult()
      if (result === undefined) return
      const waiter = this.waiters.shift()!
      if ('error' in result) waiter.reject(result.error)
      else waiter.resolve(result)
    }
  }

  private nextResult(): Result | { readonly error: unknown } | undefined {
    const { core } = this
    if (this.failure !== undefined) {
      const { failure } = this
      this.failure = undefined
      this.finish()
      return failure
    }
    if (this.isReleased || core === undefined) return DONE
    try {
      while (core.hasNews) {
        const event = core.take()
        if (event.type === 'ready') this.clearTimer()
        const shown = this.ports.present === undefined ? event : this.ports.present(event)
        if (shown !== undefined) return { done: false, value: shown }
      }
    } catch (error) {
      this.finish()
      return { error }
    }
    if (!core.isOver) return undefined
    this.finish()
    return { error: core.failure }
  }

  private fail(error: unknown): void {
    if (this.isReleased) return
    this.failure = { error }
    this.letGo()
    this.serve()
  }

  /** Nothing more comes; who still waits is told that it is over. */
  private release(): void {
    this.finish()
    this.serve()
  }

  private finish(): void {
    if (this.isReleased) return
    this.isReleased = true
    this.letGo()
  }

  private letGo(): void {
    this.clearTimer()
    this.stopListening?.()
    this.stopListening = undefined
    if (this.core === undefined) return
    this.core.onNews = undefined
    this.ports.hub.remove(this.core)
    if (!this.core.isOver) this.core.drop()
  }

  private clearTimer(): void {
    if (this.timer !== undefined) this.ports.clock.clearTimer(this.timer)
    this.timer = undefined
  }
}

function selectionOf(what: unknown): WatchSelection {
  if (typeof what === 'string') {
    assertKey(what)
    return { keys: [what] }
  }
  if (Array.isArray(what)) return { keys: keysOf(what) }
  if (typeof what !== 'object' || what === null) {
    throw new TypeError('it takes a key, a list of keys, or { prefix }')
  }
  const { prefix, ...rest } = what as { readonly prefix?: unknown }
  const [other] = Object.keys(rest)
  if (other !== undefined) throw new TypeError(`there is no ${other}: give it { prefix }`)
  assertKeyText('prefix', prefix)
  return { prefix }
}

function keysOf(keys: readonly unknown[]): string[] {
  if (keys.length === 0) throw new TypeError('a list of keys to watch has one at least')
  let bytes = 0
  for (const key of keys) {
    assertKey(key)
    bytes += utf8Length(key)
  }
  const distinct = Array.from(new Set(keys as readonly string[]))
  if (distinct.length > WATCH_KEYS_MAX || bytes > KEYS_BYTES_MAX) {
    throw new KvError(
      'BATCH_TOO_LARGE',
      `a watch lists ${WATCH_KEYS_MAX} keys and ${KEYS_BYTES_MAX} bytes of them at most: watch a ` +
        'prefix, or watch them in several parts',
    )
  }
  return distinct
}
