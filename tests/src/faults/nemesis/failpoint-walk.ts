/**
 * Walks a node through its failpoints, one after the other: arms one, does what makes the node pass
 * it, and sees to it that the node runs again after the process that passed was ended or stopped.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { SeededRandom } from '../../load/seeded-random.js'
import { NotServing } from '../../scene/node-process.js'
import { failpointsOf, type Failpoint, type Provocation } from '../failpoints/failpoints.js'
import { ARMED, FIRED, type Armed, type Deed, type Fired } from '../failpoints/trigger.js'
import { readControl, removeControl, writeControl } from '../inside/control-file.js'
import { damageState, hasSnapshot, isTrimmed, lose } from './file-damage.js'
import type { NodeUnderFault } from './node-under-fault.js'

/** One failpoint, and what is done there. */
export interface Visit {
  readonly point: Failpoint
  readonly pass: number
  readonly deed: Deed
  readonly stopMs: number
}

export interface WalkPorts {
  readonly node: NodeUnderFault
  readonly control: string
  readonly random: SeededRandom
  readonly onVisit: (point: string) => void
}

const PASS_MAX = 4
const STOP_MS_MAX = 1_600
/** A point that many calls pass is passed within moments; one that few do, at the first pass. */
const PATIENCES_MS = [6_000, 20_000, 60_000] as const
const POLL_MS = 5
/** What is done again when the node is in order and the point was not passed often enough. */
const REPEATED: readonly Provocation[] = ['child-killed', 'node-ended', 'node-killed']
/** The node has noticed what was done to it: before, it says that it serves everything. */
const SEEN_MS = 250
const STARTS_MAX = 5
/** Until every copy is in sync, or a log has grown, on a machine that has other work, too. */
const WHOLE_PATIENCE_MS = 60_000

/** Every point so many times, in an order of its own each time; those that begin so, if told. */
export function visitsOf(
  random: SeededRandom,
  times: number,
  { replicas, begins = [''] }: { replicas: number; begins?: readonly string[] | undefined },
): Visit[] {
  const all = failpointsOf(replicas).filter(({ name }) =>
    begins.some((begin) => name.startsWith(begin)),
  )
  return Array.from({ length: times }, () => shuffled(random, all)).flatMap((points) =>
    points.map((point) => ({
      point,
      pass: 1 + random.below(PASS_MAX),
      deed: deedAt(random, point),
      stopMs: 20 + random.below(STOP_MS_MAX),
    })),
  )
}

function deedAt(random: SeededRandom, { role }: Failpoint): Deed {
  const choice = random.below(10)
  if (choice === 0) return 'stop'
  return choice <= 2 && role === 'child' ? 'kill-both' : 'kill'
}

function shuffled<Item>(random: SeededRandom, items: readonly Item[]): Item[] {
  const rest = [...items]
  return items.map(() => rest.splice(random.below(rest.length), 1)[0] as Item)
}

export class FailpointWalk {
  readonly cuts = 0
  readonly diskFaults = 0
  /** Points that nobody passed although everything was done for it. */
  readonly missed: string[] = []
  private readonly ports: WalkPorts
  private readonly visits: readonly Visit[]

  constructor(ports: WalkPorts, visits: readonly Visit[]) {
    this.ports = ports
    this.visits = visits
  }

  /** Rejects if the node can't be started any more. */
  async run(): Promise<void> {
    for (const visit of this.visits) await this.visit(visit)
    await this.recover()
  }

  private async visit({ point, pass, deed, stopMs }: Visit): Promise<void> {
    const { control, node, onVisit } = this.ports
    await this.recover()
    let fired: Fired | undefined
    for (const [attempt, patienceMs] of PATIENCES_MS.entries()) {
      const wanted = attempt === 0 ? pass : 1
      await this.prepare(point)
      removeControl(control, FIRED)
      writeControl(control, ARMED, { point: point.name, pass: wanted, deed } satisfies Armed)
      const { fired: found, provoked } = await this.untilFired(point, patienceMs)
      fired = found
      if (fired === undefined) removeControl(control, ARMED)
      else if (deed === 'stop') await node.resumeAfter(fired.pid, stopMs)
      else await node.tookItsLife(fired, point.role, deed)
      await provoked
      if (fired !== undefined) break
    }
    if (fired === undefined) this.missed.push(point.name)
    else onVisit(point.name)
  }

  /** Before it is armed: who waits for anything then may wait for who has just been ended by it. */
  private async prepare({ provocation }: Failpoint): Promise<void> {
    if (provocation !== 'copy-lost' && provocation !== 'state-damaged') return
    await this.recover()
    await this.ports.node.untilWhole(WHOLE_PATIENCE_MS)
    await this.untilSome(provocation === 'copy-lost' ? isTrimmed : hasSnapshot)
  }

  private async provoke({ provocation }: Failpoint): Promise<void> {
    const { node, random } = this.ports
    switch (provocation) {
      case 'load':
        return
      case 'child-killed': {
        const pids = node.childPids()
        if (pids.length > 0) node.kill(random.pick(pids))
        return
      }
      case 'node-ended':
        await node.close()
        await this.recover()
        return
      case 'node-killed':
        await node.killAll()
        await this.recover()
        return
      case 'copy-lost':
        await node.killAll()
        node.harmCopy(random, lose, isTrimmed)
        await this.recover()
        return
      case 'state-damaged':
        await node.killAll()
        node.harmCopy(random, (copy) => damageState(random, copy), hasSnapshot)
        await this.recover()
    }
  }

  /** What is asked for may need a log that has grown; in vain, if it does not come. */
  private async untilSome(isFit: (copy: string) => boolean): Promise<void> {
    const { node } = this.ports
    const giveUpAt = performance.now() + WHOLE_PATIENCE_MS
    while (performance.now() < giveUpAt && !node.copies().some(isFit)) await delay(POLL_MS * 10)
  }

  /** Does what makes the node pass the point, again and again; the last time may not be over yet. */
  private async untilFired(
    point: Failpoint,
    patienceMs: number,
  ): Promise<{ readonly fired: Fired | undefined; readonly provoked: Promise<void> }> {
    const giveUpAt = performance.now() + patienceMs
    for (;;) {
      const provoked = this.provoke(point)
      // Heard of by who awaits it, however early it fails.
      provoked.catch(() => undefined)
      const fired = await this.untilFiredOrIdle(point, provoked, giveUpAt)
      if (fired !== undefined || performance.now() >= giveUpAt) return { fired, provoked }
      await provoked
    }
  }

  /** Also resolves when the node is in order again without having passed so often as was wanted. */
  private async untilFiredOrIdle(
    { provocation }: Failpoint,
    provoked: Promise<void>,
    giveUpAt: number,
  ): Promise<Fired | undefined> {
    const { control, node } = this.ports
    let idleAt = Infinity
    const mayRepeat = (): void => {
      if (REPEATED.includes(provocation)) idleAt = performance.now() + SEEN_MS
    }
    provoked.then(mayRepeat, mayRepeat)
    while (performance.now() < giveUpAt) {
      const fired = readControl<Fired>(control, FIRED)
      if (fired !== undefined) return fired
      if (performance.now() > idleAt && (await node.isServing())) return undefined
      await delay(POLL_MS)
    }
    return undefined
  }

  /** Resolves when there is a coordinator that has said it serves. */
  private async recover(): Promise<void> {
    const { node } = this.ports
    for (let starts = 0; ; starts += 1) {
      node.assertAlive()
      if (node.isRunning) return
      try {
        await node.start()
        return
      } catch (error) {
        if (!(error instanceof NotServing) || starts === STARTS_MAX) throw error
      }
    }
  }
}
