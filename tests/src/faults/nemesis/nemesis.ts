/**
 * Brings the faults of a schedule over a node, one after the other, until it is told to stop; then
 * heals everything.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { SeededRandom } from '../../load/seeded-random.js'
import type { SmallDisk } from '../../scene/small-disk.js'
import { NotServing } from '../../scene/node-process.js'
import { DISK } from '../disk/disk-faults.js'
import { removeControl, writeControl } from '../inside/control-file.js'
import { damageCopy, damageState, hasSnapshot, lose } from './file-damage.js'
import type { Harm, NodeUnderFault } from './node-under-fault.js'
import { nextFault, type Fault, type Scope } from './schedule.js'
import { killInTurn, strikeAtJoin, type StrikePorts } from './strike.js'
import type { BadNetwork } from './bad-network.js'

/** How long shards may be without a primary before the next fault comes all the same. */
const PATIENCE_MS = 5_000
/** Each look is a request, and takes its part of the processors. */
const POLL_MS = 50
/** Of a node that is scaled. */
const CHILDREN_MAX = 5

export interface NemesisPorts {
  readonly node: NodeUnderFault
  readonly network: BadNetwork
  /** Directory by which the disk of the node is made to fail. */
  readonly control: string
  /** The file system that the node is on, if it is one that may be filled. */
  readonly smallDisk: SmallDisk | undefined
  readonly random: SeededRandom
  /** Which faults may come, and how often. */
  readonly scope: Scope
  /** A child that serves `shard` has just been killed, alone, while another serves others. */
  readonly onPrimaryKilled: (shard: number) => void
  readonly onFault?: (fault: Fault) => void
  readonly onDamage?: (harm: Harm) => void
  /** Each shard has one copy, and a snapshot is what it is built anew from. */
  readonly isAlone: boolean
}

export class Nemesis {
  cuts = 0
  diskFaults = 0
  readonly damages: Harm[] = []
  private readonly ports: NemesisPorts
  private readonly passing = new Set<Promise<void>>()
  private readonly ending = new AbortController()

  constructor(ports: NemesisPorts) {
    this.ports = ports
  }

  /** Until `end`. Rejects if the node can't be started any more: that is a finding by itself. */
  async run(): Promise<void> {
    const { random, scope, onFault } = this.ports
    while (!this.isEnding) {
      const { afterMs, servedPart, fault } = nextFault(random, scope)
      await this.untilServed(servedPart)
      await delay(afterMs, undefined, { signal: this.ending.signal }).catch(() => undefined)
      if (this.isEnding) break
      this.ports.node.assertAlive()
      onFault?.(fault)
      await this.inflict(fault)
    }
    await Promise.all(this.passing)
    this.ports.network.release()
    this.ports.network.slowBy(0)
  }

  end(): void {
    this.ending.abort()
  }

  private get isEnding(): boolean {
    return this.ending.signal.aborted
  }

  /** Resolves when this part of the shards is served again, or when that has taken long enough. */
  private async untilServed(part: number): Promise<void> {
    if (part === 0) return
    const giveUpAt = performance.now() + PATIENCE_MS
    while (!this.isEnding && performance.now() < giveUpAt) {
      if (await this.ports.node.isServing(part)) return
      await delay(POLL_MS)
    }
  }

  private async inflict(fault: Fault): Promise<void> {
    const { node, network, control, random, scope } = this.ports
    switch (fault.type) {
      case 'kill-children':
        await this.killChildren(fault.count)
        return
      case 'kill-coordinator':
        await node.killCoordinator()
        await node.start()
        return
      case 'kill-all':
        await node.killAll()
        await node.start()
        return
      case 'restart-storm':
        await this.storm(fault.kills, fault.lifeMs)
        return
      case 'lose-copy':
        await node.killAll()
        // The only one there is stays.
        if (!this.ports.isAlone) node.harmCopy(random, lose)
        await node.start()
        return
      case 'kill-in-turn':
        await killInTurn(this.strikePorts, fault)
        return
      case 'strike-at-join':
        this.cuts += await strikeAtJoin(this.strikePorts, fault)
        return
      case 'damage':
        await this.damage()
        return
      case 'stop-children':
        for (const pid of this.victims(fault.count)) this.passes(node.stop(pid, fault.ms))
        return
      case 'stop-coordinator':
        await node.stop(node.coordinatorPid, fault.ms)
        return
      case 'scale': {
        const least = scope.replicas
        await node.scale(least + (fault.pick % (CHILDREN_MAX - least + 1)))
        return
      }
      case 'cut':
        this.cuts += network.cut((index) => index % fault.oneOf === 0)
        return
      case 'hold':
        network.hold()
        this.passes(delay(fault.ms).then(() => network.release()))
        return
      case 'disk':
        this.diskFaults += 1
        writeControl(control, DISK, fault.disk)
        this.passes(delay(fault.ms).then(() => removeControl(control, DISK)))
        return
      case 'fill':
        await this.fill(fault)
        return
      case 'delay':
        network.slowBy(fault.byMs)
        this.passes(delay(fault.ms).then(() => network.slowBy(0)))
    }
  }

  private get strikePorts(): StrikePorts {
    const { node, network, random } = this.ports
    return {
      node,
      network,
      random,
      passes: (fault) => {
        this.passes(fault)
      },
      isEnding: () => this.isEnding,
    }
  }

  private async damage(): Promise<void> {
    const { node, random } = this.ports
    await node.killAll()
    const damage = this.ports.isAlone ? damageState : damageCopy
    const harm = node.harmCopy(
      random,
      (copy) => damage(random, copy),
      this.ports.isAlone ? hasSnapshot : undefined,
    )
    if (harm !== undefined) {
      this.damages.push(harm)
      this.ports.onDamage?.(harm)
    }
    await node.start()
  }

  private async killChildren(count: number): Promise<void> {
    const { node, onPrimaryKilled } = this.ports
    const victims = this.victims(count)
    const serving = count === 1 ? await node.servedBy() : new Map<number, number[]>()
    for (const pid of victims) node.kill(pid)
    const [shard] = serving.get(victims[0] ?? 0) ?? []
    // Where there is nobody to take it over, what is measured is the start of a process.
    if (shard !== undefined && serving.size > 1) onPrimaryKilled(shard)
  }

  /** So many children, or as many as there are. */
  private victims(count: number): number[] {
    const { node, random } = this.ports
    const left = node.childPids()
    return Array.from({ length: Math.min(count, left.length) }, () => {
      return left.splice(random.below(left.length), 1)[0]!
    })
  }

  private async fill({ ms, leftBytes }: Extract<Fault, { type: 'fill' }>): Promise<void> {
    const { smallDisk } = this.ports
    if (smallDisk === undefined) return
    this.diskFaults += 1
    smallDisk.fillBut(leftBytes)
    await delay(ms)
    smallDisk.makeRoom()
  }

  private async storm(kills: number, lifeMs: number): Promise<void> {
    const { node } = this.ports
    await node.killCoordinator()
    for (let round = 0; round < kills; round += 1) {
      const starting = node.start().catch((error: unknown) => {
        if (!(error instanceof NotServing)) throw error
      })
      await delay(lifeMs)
      // Before it serves, or a moment after.
      await node.killCoordinator()
      await starting
    }
    await node.start()
  }

  private passes(fault: Promise<void>): void {
    const passing = fault.finally(() => this.passing.delete(passing))
    this.passing.add(passing)
  }
}
