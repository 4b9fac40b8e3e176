/**
 * Known bugs, each of which a run has to find. A harness that misses one proves nothing.
 *
 * They replace methods of the built classes in a process that was started for the purpose.
 */
import { prototypeOf, replace } from '../inside/built.js'
import type { Canary } from './canary.js'
import { REPLICATION_CANARIES } from './replication-canaries.js'

/** How long a write that was acknowledged too early stays in memory alone. */
const LATE_MS = 30
const CLOCK_SKEW_MS = 3_000

const OF_ONE_COPY: Readonly<Record<string, Canary>> = {
  'ack-before-write': {
    breaks: 'P1',
    what: 'a frame is acknowledged before it is written',
    release: async () => {
      const log = await prototypeOf('shard/log/log.js', 'Log')
      const behind = new WeakMap<object, Promise<unknown>>()
      replace(
        log,
        'append',
        (real) =>
          function append(this: unknown, ...args) {
            const before = behind.get(this as object) ?? Promise.resolve()
            const written = before
              .then(() => new Promise((resolve) => setTimeout(resolve, LATE_MS)))
              .then(() => real.apply(this, args))
            written.catch(() => undefined)
            behind.set(this as object, written)
            return Promise.resolve()
          },
      )
    },
  },
  'journal-not-redone': {
    breaks: 'P1',
    what: 'frames that only the journal has are left out when a log is opened',
    release: async () => {
      const journals = await prototypeOf('shard/journal/journals.js', 'Journals')
      replace(journals, 'framesOf', () => () => Promise.resolve([]))
    },
  },
  'reads-skip-overlay': {
    breaks: 'P3',
    what: 'reads know only the stored state, not what is committed and not applied',
    release: async () => {
      const reads = await prototypeOf('shard/committed-reads.js', 'CommittedReads')
      replace(
        reads,
        'find',
        () =>
          function find(this: unknown, key) {
            return (this as { stored(key: unknown): unknown }).stored(key)
          },
      )
    },
  },
  'reads-uncommitted': {
    breaks: 'P3',
    what: 'reads show what is not durable yet',
    release: async () => {
      const reads = await prototypeOf('shard/committed-reads.js', 'CommittedReads')
      const shards = await prototypeOf('shard/shard.js', 'Shard')
      const pendingOf = new WeakMap<object, Map<unknown, unknown>>()
      replace(
        shards,
        'read',
        (real) =>
          function read(this: unknown, ...args) {
            const { committed, sequencer } = this as {
              committed: object
              sequencer: { pending: Map<unknown, unknown> }
            }
            pendingOf.set(committed, sequencer.pending)
            return real.apply(this, args)
          },
      )
      replace(
        reads,
        'find',
        (real) =>
          function find(this: unknown, key) {
            return pendingOf.get(this as object)?.get(key) ?? real.call(this, key)
          },
      )
    },
  },
  'applied-before-data': {
    breaks: 'P2',
    what: 'the applied revision is stored in a transaction before that of the data',
    release: async () => {
      const state = await prototypeOf('shard/state/state.js', 'State')
      replace(
        state,
        'write',
        (real) =>
          async function write(this: unknown, changes, marks) {
            const { applyingRevision } = (marks ?? {}) as { applyingRevision?: number }
            const isFirst = applyingRevision !== undefined && (changes as unknown[]).length > 0
            if (!isFirst) return real.call(this, changes, marks)
            await real.call(this, [], { appliedRevision: applyingRevision, applyingRevision })
            return real.call(this, changes)
          },
      )
    },
  },
  'log-deleted-too-early': {
    breaks: 'P1',
    what: 'segments are deleted when they are full, not when the state has them',
    release: async () => {
      const log = await prototypeOf('shard/log/log.js', 'Log')
      replace(
        log,
        'append',
        (real) =>
          async function append(this: unknown, ...args) {
            await real.apply(this, args)
            const { lastRevision } = this as { lastRevision: number }
            void (this as { dropBefore(revision: number): Promise<void> }).dropBefore(lastRevision)
          },
      )
    },
  },
  'retry-without-dedupe': {
    breaks: 'P4',
    what: 'a write that is sent again is executed again',
    release: async () => {
      const sessions = await prototypeOf('shard/sessions/session-table.js', 'SessionTable')
      replace(sessions, 'judge', () => () => undefined)
    },
  },
  'late-by-former-way': {
    breaks: 'P3',
    what: 'what comes late by the way a client has left is executed after what came by the new one',
    release: async () => {
      const ways = await prototypeOf('child/ways.js', 'Ways')
      replace(ways, 'admits', () => () => true)
    },
  },
  'dedupe-not-stored': {
    breaks: 'P4',
    what: 'what is known of retries is lost with the log that told it',
    release: async () => {
      const sessions = await prototypeOf('shard/sessions/session-table.js', 'SessionTable')
      replace(
        sessions,
        'load',
        (real) =>
          function load(this: unknown) {
            return real.call(this, 0, [])
          },
      )
    },
  },
  'event-lost-at-resume': {
    breaks: 'P6',
    what: 'a watch that goes on leaves out the first change after where it was',
    release: async () => {
      const feeds = await prototypeOf('shard/feed/shard-feeds.js', 'ShardFeeds')
      replace(
        feeds,
        'open',
        (real) =>
          function open(this: unknown, feed, start) {
            const isResumed = (start as { epoch: number }).epoch !== 0
            if (isResumed) (feed as { revision: number }).revision += 1
            return real.call(this, feed, start)
          },
      )
    },
  },
  'expiry-by-own-clock': {
    breaks: 'P3',
    what: 'each child decides expiry by a clock of its own',
    release: () => {
      const skewNs = BigInt(Math.round((Math.random() - 0.5) * 2 * CLOCK_SKEW_MS * 1e6))
      const real = process.hrtime.bigint.bind(process.hrtime)
      process.hrtime.bigint = () => real() + skewNs
    },
  },
}

export const CANARIES: Readonly<Record<string, Canary>> = {
  ...OF_ONE_COPY,
  ...REPLICATION_CANARIES,
}
