/**
 * Carries out what the planner decides: forks children, tells them what to open and release,
 * hears what became of it, and asks again until there is nothing left to do.
 *
 * The order of each round is a rule: decide, persist, act (hard-parts 25). What a child is told
 * and what clients learn was on disk before. The rounds never overlap; what happens during one is
 * taken up by the next.
 */
import type { Topology } from '@kv/protocol'
import type { Logger } from 'pino'
import type { JoinChild, Lane } from '../ingress/lane.js'
import type { Relay } from '../ingress/relay.js'
import type { ChildReport, Configuration, FromChild, ToChild } from '../link/control.js'
import { DataLink } from '../link/data-link.js'
import type { ChildExit, ForkChild, RunningChild } from './child-process.js'
import { ChildNews } from './child-news.js'
import { Heartbeat } from './heartbeat.js'
import type { Places } from './instruction.js'
import { instructionFor } from './instruction.js'
import type { NodeEvent, NodeState } from './node-state.js'
import { carryOut, childOf, observe } from './node-state.js'
import { plan } from './plan.js'
import { identifyProcess } from './process-identity.js'
import type { PulseSettings } from './pulse.js'
import type { Step } from './step.js'
import { crashOf } from './suspects.js'

/** How long a child may take from its fork until it says `started`. */
const START_TIMEOUT_MS = 30_000

/** How long a child may take from SIGKILL to its exit when the node stops. */
const KILL_PATIENCE_MS = 1_000

/** How long a child that hosts nothing any more may take to answer what it was asked. */
const RETIRE_ANSWERS_MS = 1_000

/** How long it may take to end after that. */
const RETIRE_PATIENCE_MS = 10_000

/** How long the exit of a child may be behind the end of its data socket. */
const EXIT_PATIENCE_MS = 250

/** Pause before a write of the topology that failed is tried again. */
const PERSIST_RETRY_MS = 1_000

export interface SupervisorSettings {
  readonly fork: ForkChild
  readonly relay: Relay
  readonly pulse: PulseSettings
  readonly log: Logger
  readonly configurationOf: (child: number) => Configuration
  readonly volumePath: Places['volumePath']
  readonly directoryOf: Places['directoryOf']
  /** Makes durable what of the state is to outlive this process; does nothing if it is already. */
  readonly persist: (state: NodeState) => Promise<void>
  readonly listener: SupervisorListener
}

export interface SupervisorListener {
  onPublish(topology: Topology): void
  onChildExit(child: number, exit: ChildExit & { pid: number; replicationAddress: string }): void
  onReport(child: number, nonce: number, report: ChildReport): void
  /** Something changed; the state may be looked at. */
  onChange(): void
}

interface Running {
  readonly process: RunningChild
  readonly lane: Lane
  readonly startTimer: NodeJS.Timeout
  /** Where this process listens for backups; empty if it does not. */
  readonly replicationAddress: string
}

export class Supervisor {
  private current: NodeState
  private readonly settings: SupervisorSettings
  private readonly heartbeat: Heartbeat
  private readonly places: Places
  private readonly news: ChildNews
  private readonly running = new Map<number, Running>()
  /** Decided and not acted on yet: waits for the state to be persisted. */
  private due: Step[] = []
  private isBusy = false
  private isDirty = false
  private isStopping = false
  private wakeTimer: NodeJS.Timeout | undefined
  /** Called when the last child has exited. */
  private onEmpty: (() => void) | undefined

  constructor(state: NodeState, settings: SupervisorSettings) {
    this.current = state
    this.settings = settings
    this.news = new ChildNews(settings.log)
    const { volumePath, directoryOf } = settings
    const addressOf = (child: number): string => this.running.get(child)?.replicationAddress ?? ''
    this.places = { volumePath, directoryOf, addressOf }
    this.heartbeat = new Heartbeat(settings.pulse, {
      ping: (child, nonce) => this.send(child, { type: 'ping', nonce }),
      missed: (child) => this.end(child, 'it does not answer'),
    })
  }

  get state(): NodeState {
    return this.current
  }

  start(): void {
    this.heartbeat.start()
    this.wake()
  }

  /** Tells every child that is ready; returns which. */
  broadcast(message: ToChild): number[] {
    const ready = this.current.children.filter((child) => child.phase === 'ready')
    for (const child of ready) this.send(child.id, message)
    return ready.map((child) => child.id)
  }

  /** The node is to have so many children. What that takes is the planner's affair. */
  scale(children: number): void {
    this.observe({ type: 'scaled', children })
  }

  /** Ends the children, by force after `patienceMs`. Resolves when all are gone. */
  async stop(patienceMs: number): Promise<void> {
    this.isStopping = true
    clearTimeout(this.wakeTimer)
    this.heartbeat.stop()
    if (this.running.size === 0) return
    await new Promise<void>((resolve) => {
      this.onEmpty = resolve
      setTimeout(() => this.killAll('it does not stop'), patienceMs).unref()
      // One that is stuck in the kernel is left to the next start, which waits for it.
      setTimeout(resolve, patienceMs + KILL_PATIENCE_MS).unref()
      for (const [child, { process }] of this.running) {
        const { phase } = childOf(this.current, child)
        if (phase === 'ready' || phase === 'retiring') process.send({ type: 'stop' })
        else process.kill()
      }
    })
  }

  private killAll(why: string): void {
    for (const [child, { process }] of this.running) {
      this.settings.log.warn({ child, childPid: process.pid }, `child ${child} is killed: ${why}`)
      process.kill()
    }
  }

  private observe(event: NodeEvent): void {
    this.current = observe(this.current, event)
    this.settings.listener.onChange()
    this.wake()
  }

  /** Plans anew, once for everything that happens in this turn of the event loop. */
  private wake(): void {
    this.isDirty = true
    if (this.isBusy || this.isStopping) return
    this.isBusy = true
    setImmediate(() => {
      this.settle()
        .catch((error: unknown) => this.giveUp(error))
        .finally(() => {
          this.isBusy = false
          if (this.isDirty) this.wake()
        })
    })
  }

  /** A broken invariant: a fresh start from what is on disk is the only safe way on. */
  private giveUp(error: unknown): void {
    this.isStopping = true
    this.settings.log.fatal({ err: error }, 'the coordinator has lost its way and ends')
    setImmediate(() => {
      throw error
    })
  }

  private async settle(): Promise<void> {
    while (this.isDirty && !this.isStopping) {
      this.isDirty = false
      const { steps, wakeAtMs } = plan(this.current, performance.now())
      for (const step of steps) this.current = carryOut(this.current, step)
      this.due.push(...steps)
      if (steps.length > 0) this.isDirty = true
      this.wakeAt(wakeAtMs)
      try {
        await this.settings.persist(this.current)
      } catch (error) {
        this.settings.log.error({ err: error }, 'the topology could not be written: trying again')
        this.isDirty = false
        this.wakeAt(performance.now() + PERSIST_RETRY_MS)
        return
      }
      const due = this.due
      this.due = []
      for (const step of due) if (!this.isStopping) this.act(step)
    }
  }

  private wakeAt(wakeAtMs: number | undefined): void {
    clearTimeout(this.wakeTimer)
    if (wakeAtMs === undefined || this.isStopping) return
    this.wakeTimer = setTimeout(() => this.wake(), Math.max(1, wakeAtMs - performance.now()))
  }

  private act(step: Step): void {
    switch (step.type) {
      case 'fork':
        this.fork(step.child)
        return
      case 'publish':
        this.settings.relay.publish(step.topology)
        this.settings.listener.onPublish(step.topology)
        return
      case 'retire':
        void this.retire(step.child)
        return
      case 'condemn':
        this.kill(step.child, step.why)
        return
      case 'open':
      case 'back':
      case 'release':
      case 'tell': {
        const instruction = instructionFor(this.current, step, this.places)
        if (instruction !== undefined) this.send(step.child, instruction)
      }
    }
  }

  private send(child: number, message: ToChild): void {
    this.running.get(child)?.process.send(message)
  }

  private fork(child: number): void {
    let process: RunningChild
    try {
      process = this.settings.fork({
        onMessage: (message) => this.onMessage(child, message),
        onExit: (exit) => this.onExit(child, exit),
      })
    } catch (error) {
      this.settings.log.error({ child, err: error }, `child ${child} could not be forked`)
      this.observe({ type: 'exited', child, nowMs: performance.now(), chance: Math.random() })
      return
    }
    this.attend(child, process)
  }

  /** Makes a new process one of ours: its data socket, its time-out, its identity on disk. */
  private attend(child: number, process: RunningChild): void {
    const join: JoinChild = (handlers) => new DataLink(process.socket, handlers)
    const lane = this.settings.relay.addLane(child, join, (error) => {
      const why = `its data socket has ended${error === undefined ? '' : `: ${error.message}`}`
      // Most often because the process has, and its exit is about to be seen.
      setTimeout(() => {
        if (this.running.get(child)?.lane !== lane || this.isStopping) return
        if (childOf(this.current, child).phase !== 'retiring') this.end(child, why)
      }, EXIT_PATIENCE_MS).unref()
    })
    const startTimer = setTimeout(() => this.end(child, 'it does not start'), START_TIMEOUT_MS)
    const configuration = this.settings.configurationOf(child)
    const { replicationAddress } = configuration
    const running = { process, lane, startTimer, replicationAddress }
    this.running.set(child, running)
    identifyProcess(process.pid)
      .then((identity) => {
        // It may have ended meanwhile, or another be in its place.
        if (this.running.get(child) !== running || this.isStopping) return
        this.observe({ type: 'forked', child, process: identity })
        process.send({ type: 'configure', configuration })
      })
      .catch((error: unknown) => this.end(child, (error as Error).message))
  }

  private onMessage(child: number, message: FromChild): void {
    switch (message.type) {
      case 'started': {
        const running = this.running.get(child)
        if (running === undefined || childOf(this.current, child).phase !== 'starting') return
        clearTimeout(running.startTimer)
        running.lane.isOpen = true
        this.heartbeat.pulse.add(child)
        this.observe({ type: 'started', child, port: message.port, nowMs: performance.now() })
        return
      }
      case 'pong':
        this.heartbeat.pulse.answered(child, message.nonce)
        return
      case 'report':
        this.settings.listener.onReport(child, message.nonce, message.report)
        return
      case 'failed':
        this.news.onFailure(this.current, child, message)
        this.observe({ ...message, child, nowMs: performance.now(), chance: Math.random() })
        return
      case 'opened':
      case 'backing':
        this.observe({ ...message, child, nowMs: performance.now() })
        return
      case 'askSet':
        this.news.onSetRequest(child, message)
        this.observe({ ...message, child })
        return
      case 'released':
        this.observe({ ...message, child })
    }
  }

  /** Lets a child that hosts nothing answer what it was asked, then end by itself. */
  private async retire(child: number): Promise<void> {
    const running = this.running.get(child)
    if (running === undefined) return
    this.settings.log.info({ child, childPid: running.process.pid }, `child ${child} retires`)
    this.leave(child, running)
    const endTimer = setTimeout(() => {
      if (this.running.get(child) === running) this.end(child, 'it does not end')
    }, RETIRE_ANSWERS_MS + RETIRE_PATIENCE_MS)
    endTimer.unref()
    await running.lane.answered(RETIRE_ANSWERS_MS)
    // Its exit takes it off; then there is nobody to tell.
    if (this.running.get(child) === running) running.process.send({ type: 'stop' })
  }

  /** Kills a child; the rest happens when its exit is seen. */
  private end(child: number, why: string): void {
    if (!this.running.has(child) || childOf(this.current, child).phase === 'ending') return
    this.kill(child, why)
    this.observe({ type: 'condemned', child })
  }

  private kill(child: number, why: string): void {
    const running = this.running.get(child)
    if (running === undefined) return
    this.settings.log.error(
      { child, childPid: running.process.pid },
      `child ${child} is killed: ${why}`,
    )
    this.leave(child, running)
    running.process.kill()
  }

  private onExit(child: number, exit: ChildExit): void {
    const running = this.running.get(child)
    if (running === undefined) return
    this.running.delete(child)
    this.leave(child, running)
    // The kernel has closed its end: what it sent is read, then the lane ends by itself.
    running.lane.end()
    const moment = { nowMs: performance.now(), chance: Math.random() }
    const { process, replicationAddress } = running
    this.observe({ type: 'exited', child, crash: crashOf(exit), ...moment })
    if (!this.isStopping) this.news.onExit(this.current, child, { ...exit, pid: process.pid })
    this.settings.listener.onChildExit(child, { ...exit, pid: process.pid, replicationAddress })
    if (this.running.size === 0) this.onEmpty?.()
  }

  /** Nothing new is given to it. */
  private leave(child: number, running: Running): void {
    clearTimeout(running.startTimer)
    running.lane.isOpen = false
    this.heartbeat.pulse.remove(child)
  }
}
