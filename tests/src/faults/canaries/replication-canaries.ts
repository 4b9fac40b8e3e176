/**
 * Known bugs of replication and failover: they need copies, or two processes that both believe a shard
 * is theirs.
 */
import { prototypeOf, replace, replaceGetter } from '../inside/built.js'
import type { Canary } from './canary.js'

interface Set {
  readonly self: number
  readonly members: readonly number[]
  stored: { readonly version: number; readonly members: readonly number[] }
  isMember(copy: number): boolean
}

interface Change {
  readonly type: 'add' | 'remove'
  readonly copy: number
}

interface Replicator {
  readonly inSync: Set & { readonly pending: Change | undefined }
  readonly leaving: { delete(copy: number): void }
  nextChange(): Change | undefined
  settle(): void
}

interface LogEnd {
  readonly last: { readonly revision: number }
  readonly epochs: unknown
}

interface Follower {
  readonly epoch: number
  readonly ports: { readonly log: LogEnd; send(message: unknown): void }
}

const FILE = 'shard/replication/in-sync-set.js'
const REPLICATOR = 'shard/replication/replicator.js'

/** How long an answer of the coordinator is on its way: what is wrong until then has time to show. */
const ANSWER_LATE_MS = 300

export const REPLICATION_CANARIES: Readonly<Record<string, Canary>> = {
  'ack-before-backup': {
    breaks: 'P1',
    what: 'a record is acknowledged when the primary has it, whatever its copies have',
    replicas: 2,
    release: async () => {
      const sets = await prototypeOf(FILE, 'InSyncSet')
      replaceGetter(sets, 'required', (set) => [(set as Set).self])
    },
  },
  'set-shrunk-in-memory': {
    breaks: 'P1',
    what: 'a copy that is lost leaves the set in the memory of the primary only',
    replicas: 2,
    minInSync: 1,
    release: async () => {
      const replicators = await prototypeOf(REPLICATOR, 'Replicator')
      replace(
        replicators,
        'reconsider',
        (real) =>
          function reconsider(this: unknown) {
            const { inSync, leaving } = this as Replicator
            const change =
              inSync.pending === undefined ? (this as Replicator).nextChange() : undefined
            if (change?.type !== 'remove') {
              real.call(this)
              return
            }
            const { version, members } = inSync.stored
            inSync.stored = { version, members: members.filter((copy) => copy !== change.copy) }
            leaving.delete(change.copy)
            ;(this as Replicator).settle()
          },
      )
    },
  },
  'joined-before-counted': {
    breaks: 'P1',
    what: 'a copy that joins counts from the answer of the coordinator on, not from the question',
    replicas: 2,
    minInSync: 1,
    release: async () => {
      const sets = await prototypeOf(FILE, 'InSyncSet')
      replaceGetter(sets, 'required', (set) => (set as Set).members)
      replace(
        sets,
        'isRequired',
        () =>
          function isRequired(this: unknown, copy) {
            return (this as Set).isMember(copy as number)
          },
      )
      const replicators = await prototypeOf(REPLICATOR, 'Replicator')
      replace(
        replicators,
        'onStored',
        (real) =>
          function onStored(this: unknown, ...args) {
            setTimeout(() => real.apply(this, args), ANSWER_LATE_MS)
          },
      )
    },
  },
  'epochs-not-compared': {
    breaks: 'P2',
    what: 'a copy that comes back keeps what only a primary of the past wrote, if the revisions fit',
    replicas: 2,
    minInSync: 1,
    release: async () => {
      const replicators = await prototypeOf(REPLICATOR, 'Replicator')
      replace(
        replicators,
        'onState',
        (real) =>
          function onState(this: unknown, peer, message) {
            const { epochs } = (this as { ports: { log: LogEnd } }).ports.log
            return real.call(this, peer, { ...(message as object), epochs })
          },
      )
      const followers = await prototypeOf('shard/replication/follower.js', 'Follower')
      replace(
        followers,
        'onCutAsked',
        (real) =>
          function onCutAsked(this: unknown, after) {
            const follower = this as Follower
            const { revision } = after as LogEnd['last']
            if (follower.ports.log.last.revision !== revision) return real.call(this, after)
            // It says that it ends as the primary wishes, whatever it has there.
            Object.assign(follower, { phase: 'following', taken: after, durableRevision: revision })
            const { epoch } = follower
            follower.ports.send({ type: 'joined', epoch, last: after })
            return undefined
          },
      )
      // The frames that follow are chained to what the copy has.
      const logs = await prototypeOf('shard/log/log.js', 'Log')
      replace(
        logs,
        'append',
        (real) =>
          function append(this: unknown, buffer, bodyBytes, meta, options) {
            const { checksum: _, ...others } = (options ?? {}) as Record<string, unknown>
            return real.call(this, buffer, bodyBytes, meta, others)
          },
      )
    },
  },
  'snapshot-without-sessions': {
    breaks: 'P4',
    what: 'what is known of retries is left out of the snapshot that a copy is built from',
    replicas: 2,
    release: async () => {
      const sessions = await prototypeOf('shard/snapshot/snapshot-reader.js', 'SnapshotReader')
      replace(
        sessions,
        'make',
        (real) =>
          function make(this: unknown) {
            ;(this as { sessions: unknown[] }).sessions = []
            return real.call(this)
          },
      )
    },
  },
  'reassigned-before-exit': {
    breaks: 'P5',
    what: 'a child that does not answer counts as gone, and is not ended',
    release: async () => {
      const hosts = await prototypeOf('child/host.js', 'Host')
      // One that heard of it would end by itself.
      replace(hosts, 'close', () => () => new Promise(() => undefined))
    },
    releaseInCoordinator: async () => {
      const supervisors = await prototypeOf('coordinator/supervisor.js', 'Supervisor')
      replace(
        supervisors,
        'end',
        () =>
          function end(this: unknown, child) {
            const exit = { code: null, signal: 'SIGKILL' }
            ;(this as { onExit(child: unknown, exit: unknown): void }).onExit(child, exit)
          },
      )
    },
  },
}
