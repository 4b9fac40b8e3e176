/**
 * Processes, directories and channels as the planner's model test needs them: a world in which a
 * coordinator's decisions have consequences.
 *
 * Of data it knows one number per copy: how many of the shard's acknowledged writes it holds.
 */
import type { BackupPlace, ReplicaPlace } from '../../link/control.js'
import { absentChild } from '../child-state.js'
import { closedCopy } from '../copy-state.js'
import { instructionFor } from '../instruction.js'
import type { NodeEvent, NodeState } from '../node-state.js'
import { carryOut, firstTopology, observe } from '../node-state.js'
import { plan } from '../plan.js'
import { newShard } from '../shard-state.js'
import type { Step } from '../step.js'
import { checkMembers, checkQuarantine } from './world-checks.js'
import type { Directory, Hosted, Process, WorldSize } from './world-parts.js'
import { absentDirectory, hostingsIn, isBusy, primariesIn, restarted } from './world-parts.js'

/** Children that `scale` asks for at most; copies are fewer. */
const SCALE_MAX = 6

export class World {
  state: NodeState
  nowMs = 1
  private readonly processes: Process[] = []
  private readonly disk: readonly (readonly Directory[])[]
  private readonly acknowledged: number[]
  /** By shard: the epoch of the last promotion. */
  private readonly lastEpochs: number[]

  constructor({ shards, children, copies }: WorldSize) {
    const fresh = Array.from({ length: shards }, (_, id) =>
      newShard(id, { copies: Array.from({ length: copies }, (__, copy) => closedCopy(copy)) }),
    )
    this.state = {
      minInSync: Math.min(2, copies),
      shards: fresh,
      children: Array.from({ length: children }, (_, index) => absentChild(index + 1)),
      published: firstTopology(1, fresh),
    }
    this.disk = fresh.map(() => Array.from({ length: copies }, absentDirectory))
    this.acknowledged = fresh.map(() => 0)
    this.lastEpochs = fresh.map(() => 0)
  }

  get living(): readonly Process[] {
    return this.processes.filter((process) => process.isAlive)
  }

  /** Copies per living process. */
  held(): number[] {
    return this.living.map((process) => process.hosts.size)
  }

  primaries(): number[] {
    return this.living.map(
      ({ hosts }) => [...hosts.values()].filter((hosted) => hosted.role === 'primary').length,
    )
  }

  /** Whether every copy that was in sync is damaged. */
  isLost(shard: number): boolean {
    const { members } = this.state.shards[shard]!.inSync
    const copies = members.map((member) => this.disk[shard]![member]!)
    return copies.every(({ isDamaged, isPoisoned }) => isDamaged || isPoisoned)
  }

  /** Plans and acts until there is nothing to do, as the supervisor does. */
  settle(): void {
    for (let round = 0; ; round += 1) {
      if (round > 1_000) throw new Error('the planner never comes to an end')
      const { steps } = plan(this.state, this.nowMs)
      if (steps.length === 0) break
      for (const step of steps) this.state = carryOut(this.state, step)
      for (const step of steps) this.act(step)
    }
    for (const shard of this.state.shards) {
      const directories = this.disk[shard.id]!
      checkMembers(shard, directories, this.acknowledged[shard.id]!)
      checkQuarantine(shard, directories)
    }
  }

  private act(step: Step): void {
    if (step.type === 'publish') return
    if (step.type === 'fork') {
      const { child } = step
      const outbox: NodeEvent[] = [{ type: 'started', child, nowMs: this.nowMs }]
      const address = `${child}-${this.processes.length}`
      const life = { hosts: new Map(), ended: new Map(), isAlive: true, isCondemned: false }
      this.processes.push({ child, address, inbox: [], outbox, ...life })
      return
    }
    const process = this.living.find((candidate) => candidate.child === step.child)
    if (step.type === 'retire') {
      process?.inbox.push({ type: 'stop' })
      return
    }
    if (step.type === 'condemn') {
      if (process !== undefined) process.isCondemned = true
      return
    }
    const instruction = instructionFor(this.state, step, {
      volumePath: () => '/data',
      directoryOf: (shard, { copy }) => `/data/shards/${shard}/${copy}`,
      addressOf: (child) => this.living.find((other) => other.child === child)?.address ?? '',
    })
    if (instruction !== undefined) process?.inbox.push(instruction)
  }

  /** A process takes the next thing it was told; `luck` decides whether an opening fails. */
  work(pick: number, luck: number): void {
    const busy = this.living.filter((process) => process.inbox.length > 0)
    const process = busy[pick % busy.length]
    const message = process?.inbox.shift()
    if (process === undefined || message === undefined) return
    if (message.type === 'open') this.open(process, message.place, luck)
    else if (message.type === 'back') this.back(process, message.place, luck)
    else if (message.type === 'release') {
      const { shard, hosting } = message
      if (process.hosts.get(shard)?.hosting === hosting) process.hosts.delete(shard)
      process.ended.set(shard, hosting)
      process.outbox.push({ type: 'released', child: process.child, shard, hosting })
    } else if (message.type === 'stop') {
      if (process.hosts.size > 0) throw new Error(`child ${process.child} ends with what it hosts`)
      this.end(process)
    } else if (message.type === 'inSync') {
      const hosted = process.hosts.get(message.shard)
      if (hosted?.epoch !== message.epoch || message.inSync.version <= hosted.set.version) return
      hosted.set = message.inSync
      hosted.asked = undefined
    }
  }

  private open(process: Process, place: ReplicaPlace, luck: number): void {
    const { shard, copy, hosting, epoch, inSync } = place
    if (hosting <= (process.ended.get(shard) ?? 0)) return
    if (hostingsIn(this.living, shard).some(({ hosted }) => hosted.role === 'primary')) {
      throw new Error(`P5: shard ${shard} gets a primary while it has one`)
    }
    if (epoch <= this.lastEpochs[shard]!) throw new Error('epochs must grow')
    this.lastEpochs[shard] = epoch
    const present = process.hosts.get(shard)
    if (present === undefined) {
      if (!this.enter(process, place, luck)) return
    } else if (present.copy !== copy || present.hosting !== hosting) {
      throw new Error(`child ${process.child} gets a second copy of shard ${shard}`)
    }
    if (this.disk[shard]![copy]!.holds < this.acknowledged[shard]!) {
      throw new Error(`P1: shard ${shard} is served from a copy that lacks writes`)
    }
    const hosted = process.hosts.get(shard)!
    Object.assign(hosted, { role: 'primary', epoch, set: inSync, asked: undefined })
    this.serve(process, shard, hosted)
  }

  private back(process: Process, place: BackupPlace, luck: number): void {
    const { shard, hosting, primaryAddress = '' } = place
    if (hosting <= (process.ended.get(shard) ?? 0)) return
    const present = process.hosts.get(shard)
    if (present === undefined) {
      if (!this.enter(process, place, luck)) return
      process.outbox.push({
        type: 'backing',
        child: process.child,
        shard,
        hosting,
        nowMs: this.nowMs,
      })
    } else if (present.hosting !== hosting || present.role !== 'backup') {
      throw new Error(`child ${process.child} gets a second copy of shard ${shard}`)
    }
    process.hosts.get(shard)!.follows = primaryAddress
  }

  /** The process opens the copy's directory, unless that fails. */
  private enter(process: Process, place: ReplicaPlace | BackupPlace, luck: number): boolean {
    const { shard, copy, hosting, create } = place
    if (hostingsIn(this.living, shard).some(({ hosted }) => hosted.copy === copy)) {
      throw new Error(`P5: copy ${copy} of shard ${shard} is opened while another process has it`)
    }
    const directory = this.disk[shard]![copy]!
    if (!create && !directory.exists) throw new Error('there is no such directory')
    if (luck % 5 === 0) return this.refuse(process, place, false)
    if (directory.isPoisoned && !create) return this.end(process, 'SIGBUS')
    if (directory.isDamaged && !create) return this.refuse(process, place, true)
    if (directory.isDamaged || directory.isPoisoned) {
      Object.assign(directory, { isDamaged: false, isPoisoned: false, holds: 0 })
    }
    directory.exists = true
    process.hosts.set(shard, {
      copy,
      hosting,
      role: 'backup',
      follows: '',
      joined: 0,
      epoch: 0,
      set: { version: 0, members: [] },
      asked: undefined,
      isServing: false,
    })
    return true
  }

  private refuse(
    { child, outbox, ended }: Process,
    { shard, hosting }: { readonly shard: number; readonly hosting: number },
    damaged: boolean,
  ): false {
    ended.set(shard, hosting)
    const failure = { reason: 'bad luck', damaged, nowMs: this.nowMs, chance: 0 }
    outbox.push({ type: 'failed', child, shard, hosting, ...failure })
    return false
  }

  /** The backups that have a conversation with this primary. */
  private followers(process: Process, shard: number): Hosted[] {
    return hostingsIn(this.living, shard)
      .map(({ hosted }) => hosted)
      .filter(({ role, follows }) => role === 'backup' && follows === process.address)
  }

  private required({ set, asked, copy }: Hosted): number[] {
    const members = asked?.type === 'add' ? [...set.members, asked.copy] : set.members
    return members.filter((member) => member !== copy)
  }

  private hasAll(process: Process, shard: number, hosted: Hosted): boolean {
    const joined = this.followers(process, shard).filter(({ joined: at }) => at === hosted.epoch)
    return this.required(hosted).every((member) => joined.some(({ copy }) => copy === member))
  }

  /** A primary brings its followers up to date and asks for what its set should be. */
  look(pick: number): void {
    const all = primariesIn(this.living)
    const chosen = all[pick % all.length]
    if (chosen === undefined) return
    const { process, shard, hosted } = chosen
    const followers = this.followers(process, shard)
    const { holds } = this.disk[shard]![hosted.copy]!
    for (const follower of followers) {
      this.disk[shard]![follower.copy]!.holds = holds
      follower.joined = hosted.epoch
    }
    this.serve(process, shard, hosted)
    if (hosted.asked !== undefined) return
    const { members, version } = hosted.set
    const gone = this.required(hosted).find(
      (member) => !followers.some(({ copy }) => copy === member),
    )
    const joining = followers.find(({ copy }) => !members.includes(copy))
    if (gone !== undefined) hosted.asked = { type: 'remove', copy: gone, hosting: 0 }
    else if (joining !== undefined) {
      hosted.asked = { type: 'add', copy: joining.copy, hosting: joining.hosting }
    } else return
    const { child } = process
    const { epoch, asked: change } = hosted
    process.outbox.push({ type: 'askSet', child, shard, epoch, version, change })
  }

  private serve(process: Process, shard: number, hosted: Hosted): void {
    if (hosted.isServing || !this.hasAll(process, shard, hosted)) return
    hosted.isServing = true
    const { hosting, epoch } = hosted
    const said = { child: process.child, shard, hosting, epoch, nowMs: this.nowMs }
    process.outbox.push({ type: 'opened', ...said })
  }

  /** A client writes: acknowledged if everybody who is required has it, and they are enough. */
  write(pick: number): void {
    const all = primariesIn(this.living).filter(({ hosted }) => hosted.isServing)
    const chosen = all[pick % all.length]
    if (chosen === undefined) return
    const { process, shard, hosted } = chosen
    // Nobody knows of it before.
    if (this.state.published.epochs[shard]! < hosted.epoch) return
    if (hosted.set.members.length < this.state.minInSync) return
    if (!this.hasAll(process, shard, hosted)) return
    this.acknowledged[shard]! += 1
    const holders = [hosted, ...this.followers(process, shard)].filter(
      ({ copy, joined }) => copy === hosted.copy || joined === hosted.epoch,
    )
    for (const { copy } of holders) this.disk[shard]![copy]!.holds = this.acknowledged[shard]!
  }

  /** The coordinator hears the next message of some process. */
  hear(pick: number): void {
    const talking = this.processes.filter((process) => process.outbox.length > 0)
    const event = talking[pick % talking.length]?.outbox.shift()
    if (event === undefined) return
    this.state = observe(this.state, event)
    this.settle()
  }

  /** A process dies, by itself or because it was condemned. */
  kill(pick: number): void {
    const process = this.living[pick % this.living.length]
    if (process !== undefined) this.end(process)
  }

  private end(process: Process, crash?: NodeJS.Signals): false {
    process.isAlive = false
    process.hosts.clear()
    const { child } = process
    process.outbox.push({ type: 'exited', child, crash, nowMs: this.nowMs, chance: 0.5 })
    return false
  }

  /** The coordinator finds that a child does not answer. What it has it keeps until it dies. */
  condemn(pick: number): void {
    const process = this.living[pick % this.living.length]
    if (process === undefined || process.isCondemned) return
    process.isCondemned = true
    this.state = observe(this.state, { type: 'condemned', child: process.child })
    this.settle()
  }

  /** A copy can't go on: its process lets go of it. */
  fail(pick: number): void {
    const process = this.living[pick % this.living.length]
    const [shard, hosted] = [...(process?.hosts ?? [])][pick % (process?.hosts.size ?? 1)] ?? []
    if (process === undefined || shard === undefined || hosted === undefined) return
    process.hosts.delete(shard)
    this.refuse(process, { shard, hosting: hosted.hosting }, false)
  }

  /** What a copy stores is damaged; who has it open finds out at once. */
  damage(pick: number): void {
    const shard = pick % this.disk.length
    const copy = pick % this.disk[shard]!.length
    const directory = this.disk[shard]![copy]!
    if (!directory.exists) return
    Object.assign(directory, { isDamaged: true, holds: 0 })
    const user = hostingsIn(this.living, shard).find(({ hosted }) => hosted.copy === copy)
    if (user === undefined) return
    user.process.hosts.delete(shard)
    this.refuse(user.process, { shard, hosting: user.hosted.hosting }, true)
  }

  /** What a copy stores is such that a process dies of opening it; nobody has it open. */
  poison(pick: number): void {
    const shard = pick % this.disk.length
    const copy = pick % this.disk[shard]!.length
    const directory = this.disk[shard]![copy]!
    const isOpen = hostingsIn(this.living, shard).some(({ hosted }) => hosted.copy === copy)
    if (directory.exists && !isOpen) directory.isPoisoned = true
  }

  /** Somebody wants another number of children. */
  scale(pick: number): void {
    const { copies } = this.state.shards[0]!
    this.scaleTo(copies.length + (pick % (SCALE_MAX - copies.length + 1)))
  }

  scaleTo(children: number): void {
    this.state = observe(this.state, { type: 'scaled', children })
    this.settle()
  }

  /** The coordinator is killed, and its children with it; another one reads what it had written. */
  restart(): void {
    for (const process of this.processes) {
      process.isAlive = false
      process.hosts.clear()
      process.outbox.length = 0
    }
    this.state = restarted(this.state)
    this.settle()
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.settle()
  }

  /** No more deaths and no more bad luck: runs until nothing moves. */
  rest(): void {
    for (let quiet = 0, round = 0; quiet < 2; round += 1) {
      if (round > 1_000) throw new Error('it does not come to rest')
      const before = this.state
      for (const process of this.living) if (process.isCondemned) this.end(process)
      this.finish()
      this.pass(60_000)
      quiet = this.state === before ? quiet + 1 : 0
    }
  }

  /** Everything that was said is heard, every primary looks at its followers, and no time passes. */
  private finish(): void {
    for (let before; before !== this.state;) {
      before = this.state
      for (let pick = 0; this.processes.some((process) => isBusy(process)); pick += 1) {
        this.work(pick, 1)
        this.hear(pick)
      }
      for (let pick = primariesIn(this.living).length; pick > 0; pick -= 1) this.look(pick)
    }
  }
}
