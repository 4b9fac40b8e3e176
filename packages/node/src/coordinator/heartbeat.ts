/**
 * Drives a `Pulse`: one timer for all children.
 *
 * Each turn is judged from `setImmediate`: between a timer and it the event loop has read what
 * lay in the pipes, so an answer that had arrived is known by then.
 */
import { Pulse } from './pulse.js'
import type { PulseSettings } from './pulse.js'

export interface HeartbeatHandlers {
  ping(child: number, nonce: number): void
  /** The child does not answer. It is called again at every turn until the child is removed. */
  missed(child: number): void
}

export class Heartbeat {
  readonly pulse: Pulse
  private readonly intervalMs: number
  private readonly handlers: HeartbeatHandlers
  private timer: NodeJS.Timeout | undefined

  constructor(settings: PulseSettings, handlers: HeartbeatHandlers) {
    this.pulse = new Pulse(settings)
    this.intervalMs = settings.intervalMs
    this.handlers = handlers
  }

  start(): void {
    this.timer = setInterval(() => {
      const beganMs = performance.now()
      setImmediate(() => this.turn(beganMs))
    }, this.intervalMs)
  }

  stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  private turn(beganMs: number): void {
    if (this.timer === undefined) return
    const { ping, missed } = this.pulse.turn(beganMs, performance.now())
    for (const { child, nonce } of ping) this.handlers.ping(child, nonce)
    for (const child of missed) this.handlers.missed(child)
  }
}
