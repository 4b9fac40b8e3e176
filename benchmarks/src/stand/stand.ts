/** One store of a run, in a process of its own: what the plan talks to. */
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ContenderName } from '../contender-names.js'
import type { Load } from '../loads/load.js'
import type { Answers, Command, Ran, Reply, Started } from './commands.js'

const PROCESS = fileURLToPath(new URL('stand-process.js', import.meta.url))

/** Beyond what it is meant to take. A store that hangs must not hold up the others for ever. */
const GRACE_SECONDS = 60
const FILL_SECONDS_MAX = 900
const RESTART_SECONDS_MAX = 300
const END_MS = 15_000

export class Stand {
  readonly contender: ContenderName
  private readonly child: ChildProcess
  private failure: string | undefined

  private constructor(contender: ContenderName) {
    this.contender = contender
    this.child = fork(PROCESS, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.child.on('error', () => undefined)
  }

  /** A store that can't be started is absent, with what it said: the others are measured all the same. */
  static async start(contender: ContenderName): Promise<{ stand?: Stand; started: Started }> {
    const stand = new Stand(contender)
    let started: Started
    try {
      started = await stand.ask({ do: 'start', contender }, GRACE_SECONDS)
    } catch (error) {
      started = { name: contender, absent: `did not start: ${(error as Error).message}` }
    }
    if (!('absent' in started)) return { stand, started }
    await stand.stop()
    return { started }
  }

  async fill(keys: number, valueBytes: number): Promise<void> {
    await this.ask({ do: 'fill', keys, valueBytes }, FILL_SECONDS_MAX)
  }

  run(load: Load, seconds: number, seed: number): Promise<Ran> {
    return this.ask({ do: 'run', load, seconds, seed }, seconds + GRACE_SECONDS)
  }

  async memoryBytes(): Promise<number | undefined> {
    return (await this.ask({ do: 'memory' }, GRACE_SECONDS)) ?? undefined
  }

  /** Milliseconds from its start after kill -9 until it has answered; `undefined` if it can't be killed. */
  async restartMs(keys: number): Promise<number | undefined> {
    return (await this.ask({ do: 'restart', keys }, RESTART_SECONDS_MAX)) ?? undefined
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exited = once(this.child, 'exit')
    // It stops its store by itself when it is left alone.
    if (this.child.connected) this.child.disconnect()
    const timer = setTimeout(() => this.child.kill('SIGKILL'), END_MS)
    await exited
    clearTimeout(timer)
  }

  /** One command at a time. After one that was not answered in time there are no more. */
  private async ask<Of extends Command>(command: Of, seconds: number): Promise<Answers[Of['do']]> {
    if (this.failure !== undefined) throw new Error(this.failure)
    const reply = await this.reply(command, seconds)
    if ('failed' in reply) throw new Error(reply.failed)
    return reply.answer as Answers[Of['do']]
  }

  private reply(command: Command, seconds: number): Promise<Reply> {
    return new Promise((resolve) => {
      const settle = (reply: Reply): void => {
        clearTimeout(timer)
        this.child.off('message', settle)
        this.child.off('exit', onExit)
        resolve(reply)
      }
      const onFailure = (failure: string): void => {
        this.failure = failure
        settle({ failed: failure })
      }
      const onExit = (): void => onFailure('the process of the client has ended')
      const timer = setTimeout(
        () => onFailure(`no answer to "${command.do}" in ${seconds} s`),
        seconds * 1_000,
      )
      this.child.once('message', settle)
      this.child.once('exit', onExit)
      this.child.send(command, (error) => {
        if (error !== null) onFailure(error.message)
      })
    })
  }
}
