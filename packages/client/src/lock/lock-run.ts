/**
 * Carries out what `lock-state.ts` says, for one lock: asks, watches, renews, releases. One timer.
 */
import type { Clock } from '../clock.js'
import { Alarm } from '../clock.js'
import { watchAbort } from '../abort-watch.js'
import type { LockAnswer } from '../session/answers.js'
import type { Lock } from './lock.js'
import type { LockEffect, LockEvent, LockState, LockStep, LockTerms } from './lock-state.js'
import { alarmOf, begin, step, watchedIn } from './lock-state.js'

export interface LockPorts {
  readonly clock: Clock
  ask(ticket: number): Promise<LockAnswer>
  /** Gives back the lock, or the place in the queue. */
  unlock(ticket: number): Promise<unknown>
  /** Resolves with whether the lock still has this version, and then for another ttl. */
  renew(version: number): Promise<boolean>
  /**
   * Calls `onGone` once, when the place with this ticket (0: the lock) is free, or nobody can tell
   * any more. Returns what stops it.
   */
  watch(ticket: number, onGone: () => void): () => void
}

export class LockRun {
  private readonly terms: LockTerms
  private readonly ports: LockPorts
  private readonly alarm: Alarm
  private state: LockState
  /** The ticket that is watched. */
  private watched: number | undefined = undefined
  private unwatch: (() => void) | undefined = undefined
  private forgetSignal: (() => void) | undefined = undefined
  private readonly loss = new AbortController()
  private unlocked: Promise<unknown> = Promise.resolve()
  private resolve: (lock: Lock) => void = ignore
  private reject: (reason: unknown) => void = ignore

  constructor(terms: LockTerms, ports: LockPorts) {
    this.terms = terms
    this.ports = ports
    this.state = { name: 'over' }
    this.alarm = new Alarm(ports.clock, () => {
      this.on({ type: 'alarm' })
      return alarmOf(this.state, terms)
    })
  }

  /** Call it once. Rejects with `LOCKED` if it is not had in time. */
  acquire(signal: AbortSignal | undefined): Promise<Lock> {
    signal?.throwIfAborted()
    const promise = new Promise<Lock>((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    if (signal !== undefined) {
      this.forgetSignal = watchAbort(signal, () => {
        this.on({ type: 'aborted', reason: signal.reason })
      })
    }
    this.follow(begin(this.ports.clock.now()))
    return promise
  }

  /** Looks at the time: a timer may be late. */
  get signal(): AbortSignal {
    if (this.state.name === 'held' || this.state.name === 'renewing') this.on({ type: 'alarm' })
    return this.loss.signal
  }

  async release(): Promise<void> {
    this.on({ type: 'released' })
    // What was lost is nobody's to give back: how that went is of no interest.
    if (!this.loss.signal.aborted) await this.unlocked
  }

  private on(event: LockEvent): void {
    this.follow(step(this.state, event, this.terms, this.ports.clock.now()))
  }

  private follow([state, ...effects]: LockStep): void {
    this.state = state
    const alarmAt = alarmOf(state, this.terms)
    if (alarmAt === Infinity) this.alarm.clear()
    else this.alarm.setBy(alarmAt)
    this.watch(watchedIn(state))
    for (const effect of effects) this.carryOut(effect)
  }

  /** This ticket, in place of what was watched before. */
  private watch(ticket: number | undefined): void {
    if (ticket === this.watched) return
    this.unwatch?.()
    this.watched = ticket
    this.unwatch =
      ticket === undefined
        ? undefined
        : this.ports.watch(ticket, () => {
            this.on({ type: 'gone' })
          })
  }

  private carryOut(effect: LockEffect): void {
    switch (effect.type) {
      case 'ask':
        void this.ask(effect.ticket)
        return
      case 'renew':
        void this.renew(effect.version)
        return
      case 'unlock':
        this.unlocked = this.ports.unlock(effect.ticket)
        // Who releases hears of it; else it ends with its time.
        this.unlocked.catch(ignore)
        return
      case 'grant':
        this.settle()
        this.resolve(new HeldLock(this, this.terms.key, effect.version))
        return
      case 'refuse':
        this.settle()
        this.reject(effect.reason)
        return
      case 'lose':
        this.loss.abort(effect.error)
    }
  }

  private async ask(ticket: number): Promise<void> {
    let event: LockEvent
    try {
      event = { type: 'answered', answer: await this.ports.ask(ticket) }
    } catch (error) {
      event = { type: 'failed', error }
    }
    this.on(event)
  }

  private async renew(version: number): Promise<void> {
    let event: LockEvent
    try {
      event = { type: 'renewed', isHeld: await this.ports.renew(version) }
    } catch (error) {
      event = { type: 'renewalFailed', error }
    }
    this.on(event)
  }

  private settle(): void {
    this.forgetSignal?.()
    this.forgetSignal = undefined
  }
}

class HeldLock implements Lock {
  readonly key: string
  readonly version: number
  private readonly run: LockRun

  constructor(run: LockRun, key: string, version: number) {
    this.run = run
    this.key = key
    this.version = version
  }

  get token(): number {
    return this.version
  }

  get signal(): AbortSignal {
    return this.run.signal
  }

  release(): Promise<void> {
    return this.run.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.run.release()
  }
}

function ignore(): void {}
