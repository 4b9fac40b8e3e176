/**
 * The named points at which a process may be ended or stopped: around each step that something
 * acknowledged, or who serves it, depends on. Data only; `install.ts` puts them into a process.
 */
import type { FileOperation, FileTarget } from '../inside/file-layer.js'
import type { Role } from '../inside/role.js'

/** Brings a node to pass a point, where load alone does not. */
export type Provocation =
  | 'load'
  | 'child-killed'
  | 'node-ended'
  | 'node-killed'
  | 'copy-lost'
  /** The stored state of the only copy, which has a snapshot. */
  | 'state-damaged'

export type Moment = 'before' | 'after'

/** A call of a method of the built node. */
export interface MethodPlace {
  readonly type: 'method'
  readonly file: string
  readonly of: string
  readonly method: string
  readonly isStatic?: boolean
  /** Only these calls count. */
  readonly when?: (self: unknown, args: readonly unknown[]) => boolean
}

/** A call by which the node reaches the disk. */
export interface FilePlace {
  readonly type: 'file'
  readonly operation: FileOperation
  readonly target: FileTarget
  /** While a log is opened; while it is in use otherwise. Both if left out. */
  readonly isOpening?: boolean
}

export interface Failpoint {
  readonly name: string
  readonly role: Role
  readonly moment: Moment
  readonly place: MethodPlace | FilePlace
  readonly provocation: Provocation
  /** Only a node that keeps so many copies passes it: at least, and at most. */
  readonly replicas: number
  readonly replicasMax: number
}

type Places = Readonly<Record<string, readonly [Provocation, MethodPlace | FilePlace]>>

function calls(
  file: string,
  of: string,
  method: string,
  more: Partial<MethodPlace> = {},
): MethodPlace {
  return { type: 'method', file, of, method, ...more }
}

function files(operation: FileOperation, target: FileTarget, isOpening?: boolean): FilePlace {
  return { type: 'file', operation, target, ...(isOpening === undefined ? {} : { isOpening }) }
}

interface Marks {
  readonly appliedRevision?: number
  readonly applyingRevision?: number
}

/** How far a generation has come tells which slice of it is written. */
function marksOf(args: readonly unknown[]): Marks {
  return (args[1] ?? {}) as Marks
}

interface Message {
  readonly type?: string
}

function says(type: string): (self: unknown, args: readonly unknown[]) => boolean {
  return (_, args) => args.some((arg) => (arg as Message | undefined)?.type === type)
}

interface Change {
  readonly shards?: readonly {
    readonly epoch: number
    readonly inSync?: { readonly members: readonly number[] }
  }[]
  readonly processes?: readonly unknown[]
}

/** Whether this change of the topology begins an epoch of any shard. */
function beginsEpoch(self: unknown, args: readonly unknown[]): boolean {
  const { stored } = self as { readonly stored: Required<Change> }
  const { shards = [] } = args[0] as Change
  return shards.some((shard, index) => shard.epoch !== stored.shards[index]?.epoch)
}

function namesProcess(self: unknown, args: readonly unknown[]): boolean {
  const { stored } = self as { readonly stored: Required<Change> }
  return ((args[0] as Change).processes ?? []).length > stored.processes.length
}

const LOG = 'shard/log/log.js'
const SEGMENT = 'shard/log/segment.js'
const JOURNAL = 'shard/journal/journal.js'
const JOURNALS = 'shard/journal/journals.js'
const MEMBER = 'shard/journal/journal-member.js'
const SEQUENCER = 'shard/sequencer/sequencer.js'
const STATE = 'shard/state/state.js'
const SHARD = 'shard/shard.js'
const HOST = 'child/host.js'
const STORE = 'coordinator/topology-store.js'
const SUPERVISOR = 'coordinator/supervisor.js'

/** Whether this change of the topology is one of copies in sync. */
function changesSet(self: unknown, args: readonly unknown[]): boolean {
  const { stored } = self as { readonly stored: Required<Change> }
  const { shards = [] } = args[0] as Change
  return shards.some(({ inSync }, index) => {
    return inSync?.members.join() !== stored.shards[index]?.inSync?.members.join()
  })
}

/** Each stands for two points: before the call, and after it has ended well. */
const IN_CHILDREN: Places = {
  'frame.append': ['load', calls(LOG, 'Log', 'append')],
  'frame.committed': ['load', calls(SEQUENCER, 'Sequencer', 'committed')],
  reply: ['load', calls('link/data-link.js', 'DataLink', 'reply')],
  'journal.write': ['load', files('write', 'journal')],
  'journal.swap': ['load', calls(JOURNAL, 'Journal', 'swap')],
  'journal.write-out': ['load', calls(JOURNAL, 'Journal', 'writeOutAll')],
  'journal.create': ['child-killed', calls(JOURNAL, 'Journal', 'create', { isStatic: true })],
  'journal.bind': ['child-killed', calls(MEMBER, 'JournalMember', 'bind')],
  'journal.unbind-former': ['child-killed', files('unlink', 'binding')],
  'journal.release': ['node-ended', calls(MEMBER, 'JournalMember', 'release')],
  'journal.remove': ['node-ended', calls('shard/journal/journal-file.js', 'JournalFile', 'remove')],
  'segment.write-behind': ['load', files('write', 'segment', false)],
  'segment.prepare-next': ['load', files('sync', 'temporary', false)],
  'segment.begin': ['load', calls(SEGMENT, 'ActiveSegment', 'begin', { isStatic: true })],
  'segment.rename': ['load', files('rename', 'segment', false)],
  'segment.delete': ['load', files('unlink', 'segment', false)],
  'closing-mark.rename': ['node-ended', files('rename', 'mark')],
  'closing-mark.remove': ['node-ended', files('unlink', 'mark')],
  'open.journal': ['child-killed', calls(JOURNALS, 'Journals', 'framesOf')],
  'open.write-again': ['child-killed', files('write', 'segment', true)],
  'open.state': ['child-killed', calls(STATE, 'State', 'open', { isStatic: true })],
  'open.log': ['child-killed', calls(LOG, 'Log', 'open', { isStatic: true })],
  'open.sync-last': ['node-ended', files('sync', 'segment', true)],
  'open.sync-directory': ['child-killed', files('syncDirectory', 'directory', true)],
  'open.begin-epoch': ['child-killed', calls(SEQUENCER, 'Sequencer', 'beginEpoch')],
  'open.shard': ['child-killed', calls(SHARD, 'Shard', 'open', { isStatic: true })],
  'apply.reserve': ['load', files('write', 'state')],
  'apply.first-slice': [
    'load',
    calls(STATE, 'State', 'write', {
      when: (_, args) => marksOf(args).appliedRevision === undefined && args[1] !== undefined,
    }),
  ],
  'apply.last-slice': [
    'load',
    calls(STATE, 'State', 'write', {
      when: (_, args) => marksOf(args).appliedRevision !== undefined,
    }),
  ],
  'apply.flush': ['load', calls(STATE, 'State', 'flushed')],
  'shard.release': ['child-killed', calls('child/replicas.js', 'Replicas', 'release')],
  'shard.close': ['node-ended', calls(SHARD, 'Shard', 'close')],
  'child.close': ['node-ended', calls(HOST, 'Host', 'close')],
}

const IN_COORDINATORS: Places = {
  'topology.write': ['child-killed', files('write', 'topology')],
  'topology.sync': ['child-killed', files('sync', 'topology')],
  'topology.rename': ['child-killed', files('rename', 'topology')],
  'topology.sync-directory': ['child-killed', files('syncDirectory', 'directory')],
  'topology.publish': ['child-killed', calls('ingress/relay.js', 'Relay', 'publish')],
  'epoch.persist': ['child-killed', calls(STORE, 'TopologyStore', 'update', { when: beginsEpoch })],
  'process.persist': [
    'child-killed',
    calls(STORE, 'TopologyStore', 'update', { when: namesProcess }),
  ],
  'process.fork': ['child-killed', calls(SUPERVISOR, 'Supervisor', 'fork')],
  'process.exit-seen': ['child-killed', calls(SUPERVISOR, 'Supervisor', 'onExit')],
  'node.start': [
    'node-killed',
    calls('coordinator/coordinator.js', 'Coordinator', 'start', { isStatic: true }),
  ],
  'node.drain': ['node-ended', calls('ingress/relay.js', 'Relay', 'drain')],
  'node.stop-children': ['node-ended', calls(SUPERVISOR, 'Supervisor', 'stop')],
}

const REPLICATOR = 'shard/replication/replicator.js'
const FOLLOWER = 'shard/replication/follower.js'
const SET = 'shard/replication/in-sync-set.js'
const BUILD = 'shard/snapshot/snapshot-build.js'

/** Those of nodes that keep copies, likewise. */
const OF_COPIES: Places = {
  'backup.open': ['child-killed', calls('child/replicas.js', 'Replicas', 'back')],
  'backup.greeted': ['child-killed', calls(FOLLOWER, 'Follower', 'onGreet')],
  'backup.cut': ['child-killed', calls(FOLLOWER, 'Follower', 'onCutAsked')],
  'backup.join': ['child-killed', calls(FOLLOWER, 'Follower', 'join')],
  'backup.frame': ['load', calls(FOLLOWER, 'Follower', 'onFrame')],
  'backup.durable': ['load', calls(FOLLOWER, 'Follower', 'onDurable')],
  'backup.commit': ['load', calls(FOLLOWER, 'Follower', 'learnCommit')],
  'backup.apply': ['load', calls('shard/backup.js', 'Backup', 'apply')],
  'backup.promote': ['child-killed', calls('shard/backup.js', 'Backup', 'promote')],
  'in-sync.ack': ['load', calls(REPLICATOR, 'Replicator', 'onMessage', { when: says('durable') })],
  'in-sync.joined': ['child-killed', calls(REPLICATOR, 'Replicator', 'onJoined')],
  'in-sync.ask': ['child-killed', calls(SET, 'InSyncSet', 'ask')],
  'in-sync.stored': ['child-killed', calls(SET, 'InSyncSet', 'onStored')],
  'in-sync.lost': ['child-killed', calls(REPLICATOR, 'Replicator', 'leave')],
  'snapshot.open': ['copy-lost', calls(REPLICATOR, 'Replicator', 'rebuild')],
  'snapshot.part': ['copy-lost', calls(REPLICATOR, 'Replicator', 'onPart')],
  'snapshot.begin': ['copy-lost', calls(BUILD, 'SnapshotBuild', 'begin', { isStatic: true })],
  'snapshot.page': ['copy-lost', calls(BUILD, 'SnapshotBuild', 'takePage')],
  'snapshot.end': ['copy-lost', calls(BUILD, 'SnapshotBuild', 'end')],
  'snapshot.move-old': ['copy-lost', files('rename', 'replaced')],
  'snapshot.put-in-place': ['copy-lost', files('rename', 'rebuilt')],
  'snapshot.replaced': ['copy-lost', calls(FOLLOWER, 'Follower', 'onRebuilt')],
}

const STATE_BUILD = 'shard/snapshot/state-build.js'

/** Those of nodes that keep one copy, and snapshots of it in files. */
const OF_ONE_COPY: Places = {
  'snapshot-file.take': [
    'load',
    calls('shard/snapshot/snapshot-keeper.js', 'SnapshotKeeper', 'take'),
  ],
  'snapshot-file.write': ['load', files('write', 'snapshot')],
  'snapshot-file.sync': ['load', files('sync', 'snapshot')],
  'snapshot-file.rename': ['load', files('rename', 'snapshot')],
  'snapshot-file.sync-directory': ['load', files('syncDirectory', 'snapshots')],
  'snapshot-file.remove-older': ['load', files('unlink', 'snapshot')],
  'rebuild.page': ['state-damaged', calls(STATE_BUILD, 'StateBuild', 'takePage')],
  'rebuild.end': ['state-damaged', calls(STATE_BUILD, 'StateBuild', 'end')],
  'rebuild.move-aside': ['state-damaged', files('rename', 'aside')],
  'rebuild.put-in-place': ['state-damaged', files('rename', 'rebuilt')],
}

const IN_COORDINATORS_OF_COPIES: Places = {
  'in-sync.persist': [
    'child-killed',
    calls(STORE, 'TopologyStore', 'update', { when: changesSet }),
  ],
}

/** Nothing comes after it in a process. */
const NEVER_AFTER = new Set(['child.close', 'node.start'])

function pointsOf(
  role: Role,
  places: Places,
  {
    replicas = 1,
    replicasMax = Infinity,
  }: Partial<Pick<Failpoint, 'replicas' | 'replicasMax'>> = {},
): Failpoint[] {
  return Object.entries(places).flatMap(([step, [provocation, place]]) =>
    (['before', 'after'] as const)
      .filter((moment) => moment === 'before' || !NEVER_AFTER.has(step))
      .map((moment) => ({
        name: `${step}.${moment}`,
        role,
        moment,
        place,
        provocation,
        replicas,
        replicasMax,
      })),
  )
}

export const FAILPOINTS: readonly Failpoint[] = [
  ...pointsOf('child', IN_CHILDREN),
  ...pointsOf('coordinator', IN_COORDINATORS),
  ...pointsOf('child', OF_ONE_COPY, { replicasMax: 1 }),
  ...pointsOf('child', OF_COPIES, { replicas: 2 }),
  ...pointsOf('coordinator', IN_COORDINATORS_OF_COPIES, { replicas: 2 }),
]

/** Those that a node with so many copies of each shard passes. */
export function failpointsOf(replicas: number): readonly Failpoint[] {
  return FAILPOINTS.filter((point) => point.replicas <= replicas && replicas <= point.replicasMax)
}
