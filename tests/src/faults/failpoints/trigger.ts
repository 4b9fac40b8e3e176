/**
 * Ends or stops this process when it passes the named point for the n-th time since it was armed. Of
 * all the processes of a node one does: the first that gets there.
 */
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { followControl, writeControl } from '../inside/control-file.js'
import { killNow } from '../../scene/process-table.js'

export type Deed =
  /** kill -9 of the process that passes. */
  | 'kill'
  /** Of its coordinator, too, and before it. */
  | 'kill-both'
  /** SIGSTOP; who armed it lets it go on. */
  | 'stop'

export interface Armed {
  readonly point: string
  readonly pass: number
  readonly deed: Deed
}

export interface Fired {
  readonly point: string
  readonly pid: number
  /** Of the coordinator: the same, or the one that forked it. */
  readonly coordinator: number
}

export const ARMED = 'armed.json'
export const FIRED = 'fired.json'

export class Trigger {
  private readonly control: string
  /** Not the parent of now: a child whose coordinator is gone has another, and that is nobody's to kill. */
  private readonly coordinator: number
  private armed: Armed | undefined
  private passes = 0

  constructor(control: string, coordinator: number) {
    this.control = control
    this.coordinator = coordinator
    followControl<Armed>(control, ARMED, (armed) => {
      this.armed = armed
      this.passes = 0
    })
  }

  /** Also how a point is known to be passed at all. */
  pass(point: string): void {
    const { armed } = this
    if (armed?.point !== point) return
    this.passes += 1
    if (this.passes < armed.pass) return
    this.armed = undefined
    if (this.isFirst()) this.fire(armed)
  }

  private isFirst(): boolean {
    try {
      renameSync(join(this.control, ARMED), join(this.control, `taken-${process.pid}`))
      return true
    } catch {
      return false
    }
  }

  private fire({ point, deed }: Armed): void {
    const { coordinator } = this
    writeControl(this.control, FIRED, { point, pid: process.pid, coordinator } satisfies Fired)
    if (deed === 'kill-both') killNow(coordinator)
    process.kill(process.pid, deed === 'stop' ? 'SIGSTOP' : 'SIGKILL')
  }
}
