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

const FILE = 'shard/replication/in-sync-set.js'

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
    release: async () => {
      const replicators = await prototypeOf('shard/replication/replicator.js', 'Replicator')
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
      const replicators = await prototypeOf('shard/replication/replicator.js', 'Replicator')
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
  'follows-any-epoch': {
    breaks: 'P1',
    what: 'a copy follows whoever speaks to it, a primary of the past as well',
    replicas: 2,
    release: async () => {
      const followers = await prototypeOf('shard/replication/follower.js', 'Follower')
      replace(
        followers,
        'onMessage',
        (real) =>
          function onMessage(this: unknown, message) {
            const follower = this as { epoch: number }
            follower.epoch = Math.min(follower.epoch, (message as { epoch: number }).epoch)
            return real.call(this, message)
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
