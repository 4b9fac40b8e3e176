/**
 * A child as a process: forks it, speaks typed IPC with it, holds its end of the data socket.
 *
 * Knows nothing about shards. `onExit` is called exactly once and is the last call: when it comes
 * the process is gone, and with it every file it had open.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createRequire } from 'node:module'
import type { Duplex } from 'node:stream'
import type { FromChild, ToChild } from '../link/control.js'
import { isControl } from '../link/control.js'

/** Of the `imports` of this package: the child as one file; under the condition `modules` as it was compiled. */
const CHILD_PROGRAM = '#child'

const STANDARD_ERROR = 2

/** Where the data socket is in `stdio`, in both processes. */
const DATA_SOCKET = 4

/** One log per shard and one LMDB environment each wait in the pool at once: 4 threads starve. */
const THREAD_POOL_SIZE = '16'

/** How long a child may live on after its IPC channel has ended. */
const DISCONNECTED_PATIENCE_MS = 2_000

export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ChildListener {
  onMessage(message: FromChild): void
  onExit(exit: ChildExit): void
}

export interface RunningChild {
  readonly pid: number
  /** Both ways; it ends when the process does. */
  readonly socket: Duplex
  /** Dropped if the child is on its way out: its exit says the rest. */
  send(message: ToChild): void
  /** Ends it whatever it is doing. */
  kill(): void
}

/** How a child is brought into being; tests bring their own. Throws if there is no process. */
export type ForkChild = (listener: ChildListener) => RunningChild

export const forkChild: ForkChild = (listener) => {
  const child = fork(createRequire(import.meta.url).resolve(CHILD_PROGRAM), [], {
    // Whatever a child prints is log: standard output is the coordinator's, or its embedder's.
    stdio: ['ignore', STANDARD_ERROR, STANDARD_ERROR, 'ipc', 'pipe'],
    // Nothing of the coordinator's own flags: `--inspect` would claim the same port twice.
    execArgv: [],
    env: {
      ...process.env,
      UV_THREADPOOL_SIZE: process.env['UV_THREADPOOL_SIZE'] ?? THREAD_POOL_SIZE,
    },
  })
  listen(child, listener)
  const { pid } = child
  if (pid === undefined) throw new Error('the system does not give another process')
  return {
    pid,
    socket: child.stdio[DATA_SOCKET] as Duplex,
    send: (message) => {
      // With a callback a failed send is not emitted as an error.
      if (child.connected) child.send(message, () => {})
    },
    kill: () => {
      child.kill('SIGKILL')
    },
  }
}

function listen(child: ChildProcess, listener: ChildListener): void {
  let hasExited = false
  child.on('message', (message) => {
    if (!hasExited && isControl<FromChild>(message)) listener.onMessage(message)
  })
  child.on('exit', (code, signal) => {
    hasExited = true
    listener.onExit({ code, signal })
  })
  // A failed fork is thrown; a signal or a message that failed shows in the exit to come.
  child.on('error', () => {})
  child.on('disconnect', () => {
    // Without the channel it can't be told anything any more: its exit must be near.
    const timer = setTimeout(() => child.kill('SIGKILL'), DISCONNECTED_PATIENCE_MS)
    if (hasExited) clearTimeout(timer)
    else child.once('exit', () => clearTimeout(timer))
  })
}
