/** A timer that a test fires by hand. */
import type { Schedule } from '../../log/next-segment.js'

export class HandTimer {
  private action: (() => void) | undefined

  readonly schedule: Schedule = (action) => {
    this.action = action
    return () => {
      if (this.action === action) this.action = undefined
    }
  }

  get isRunning(): boolean {
    return this.action !== undefined
  }

  fire(): void {
    const { action } = this
    this.action = undefined
    action?.()
  }
}
