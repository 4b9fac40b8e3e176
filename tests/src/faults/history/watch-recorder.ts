/**
 * Follows a watch of everything through whatever happens to its connection, and says afterwards
 * what of it was not as it was told on the other side: in the history of writes (P6).
 */
import type { UntypedClient } from '@kv/client'
import { unpadded } from '../workload/padding.js'
import type { Found, Operation, Value } from './operation.js'
import { isOpen, keysOf } from './operation.js'

interface Seen {
  readonly type: string
  readonly key: string
  readonly version: number
  readonly value: Value | undefined
}

interface AnyEvent {
  readonly type: string
  readonly key?: string
  readonly value?: unknown
  readonly version?: number
}

export class WatchRecorder {
  resets = 0
  private readonly seen: Seen[] = []
  /** By key, the value shown last. */
  private readonly shownLast = new Map<string, Value | undefined>()
  /** Of what was seen, what is no change. */
  private marks = 0
  private failure: unknown
  private readonly stopping = new AbortController()
  private readonly reading: Promise<void>
  private isReady = false

  constructor(client: UntypedClient) {
    this.reading = this.read(client)
  }

  private async read(client: UntypedClient): Promise<void> {
    const { signal } = this.stopping
    try {
      for await (const event of client.watch({ prefix: '' }, { signal })) this.take(event)
    } catch (error) {
      if (!signal.aborted) this.failure = error
    }
  }

  private take({ type, key, value, version = 0 }: AnyEvent): void {
    if (type === 'ready') this.isReady = true
    else if (type === 'reset') this.resets += 1
    if (key === undefined) {
      this.marks += 1
      this.seen.push({ type, key: '', version, value: undefined })
      return
    }
    const shown = value === undefined ? undefined : unpadded(value)
    this.seen.push({ type, key, version, value: shown })
    this.shownLast.set(key, shown)
  }

  get isFollowing(): boolean {
    if (this.failure !== undefined) throw new Error('a watch has ended', { cause: this.failure })
    return this.isReady
  }

  get eventCount(): number {
    return this.seen.length - this.marks
  }

  /** Whether this value is the newest that the stream has shown of the key. */
  hasSeen(key: string, value: Value): boolean {
    return this.shownLast.get(key) === value
  }

  async stop(): Promise<void> {
    this.stopping.abort(new Error('enough was seen'))
    await this.reading
  }

  /**
   * What is wrong with the stream: an event out of order or twice, an acknowledged write that it has
   * left out without a reset, another value than was written, an end that is not what stands there.
   */
  violations(
    history: readonly Operation[],
    last: ReadonlyMap<string, Found | undefined>,
  ): string[] {
    const problems: string[] = []
    const newest = new Map<string, Seen>()
    /** What sets have shown, by key and version. */
    const shown = new Map<string, Value | undefined>()
    /** From a reset until `ready` what stands is told again: the keys of which that has been done. */
    let toldAgain: Set<string> | undefined
    for (const event of this.seen) {
      const { key, version, type, value } = event
      if (type === 'reset' || type === 'ready') {
        toldAgain = type === 'reset' ? new Set() : undefined
        continue
      }
      const before = newest.get(key)
      const mayBeAsBefore = toldAgain?.has(key) === false && type === 'set'
      toldAgain?.add(key)
      const isAsBefore = mayBeAsBefore && version === before?.version
      if (before !== undefined && !isAsBefore && !follows(event, before)) {
        problems.push(`${key}: ${type} of version ${version} came after version ${before.version}`)
      }
      newest.set(key, event)
      // The end of what was there before has the version of the write over it, and is not that write:
      // a reset may come between the two.
      if (type === 'set') shown.set(`${key} ${version}`, value)
    }
    const asked = new Set(history.flatMap(askedFor))
    for (const { type, key, value } of this.seen) {
      if (type !== 'set' || typeof value !== 'string' || !last.has(key)) continue
      if (!asked.has(`${key} ${value}`))
        problems.push(`${key}: ${value} was shown, nobody wrote it`)
    }
    for (const { key, version, value } of acknowledged(history)) {
      const name = `${key} ${version}`
      if (!shown.has(name)) {
        if (this.resets === 0) problems.push(`${key}: version ${version} was never shown`)
      } else if (value !== undefined && shown.get(name) !== value) {
        problems.push(`${key}: version ${version} was shown as ${shown.get(name)}, not ${value}`)
      }
    }
    return problems.concat(this.endViolations(newest, last, openKeys(history)))
  }

  private endViolations(
    newest: ReadonlyMap<string, Seen>,
    last: ReadonlyMap<string, Found | undefined>,
    open: ReadonlySet<string>,
  ): string[] {
    if (this.resets > 0) return []
    return [...last].flatMap(([key, found]) => {
      const event = newest.get(key)
      const stood = event?.type === 'set' ? event.version : undefined
      // Since it was read, it may have ended by itself.
      const hasEnded = event?.type === 'expire' && event.version > (found?.version ?? 0)
      if (found === undefined || found.version === stood || hasEnded) return []
      // A write that nobody was told of may happen after it was read, and is then shown.
      if (open.has(key) && (event?.version ?? 0) > (found.version ?? 0)) return []
      return [`${key}: the stream ends with version ${stood ?? 'none'}, ${found.version} stands`]
    })
  }
}

/** Versions grow; a write over what has ended is told as that end and the write, of one version. */
function follows(event: Seen, before: Seen): boolean {
  if (event.version > before.version) return true
  const isSame = event.version === before.version
  return isSame && before.type === 'expire' && event.type === 'set'
}

/** Keys on which something of unknown outcome is under way, for all that is known. */
function openKeys(history: readonly Operation[]): Set<string> {
  return new Set(history.flatMap((each) => (isOpen(each) ? keysOf(each.action) : [])))
}

interface Written {
  readonly key: string
  readonly version: number
  readonly value: Value | undefined
}

/** Values that may have been written, as `key value`. */
function askedFor({ action }: Operation): string[] {
  if (action.type === 'set') return [`${action.key} ${action.value}`]
  if (action.type !== 'atomic') return []
  return action.sets.map(({ key, value }) => `${key} ${value}`)
}

function* acknowledged(history: readonly Operation[]): Generator<Written> {
  for (const { action, answer } of history) {
    if (answer?.type !== 'written') continue
    const { version } = answer
    if (action.type === 'atomic') {
      for (const { key, value } of action.sets) yield { key, version, value }
    } else if (action.type === 'set') yield { key: action.key, version, value: action.value }
    else if (action.type === 'increment') yield { key: action.key, version, value: answer.value }
  }
}
