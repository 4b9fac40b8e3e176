/**
 * The process in which the client of one store runs: alone, so that neither the garbage nor the types of
 * the client of another are measured with it. Does one command at a time, and ends, with its store, when
 * the process that planned is gone.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ContenderName } from '../contender-names.js'
import { CONTENDERS } from '../contenders.js'
import { assertAnswers, callsOn, NoSuchCallError } from '../loads/calls.js'
import type { Call } from '../loads/calls.js'
import { runLanes } from '../loads/closed-loop.js'
import { fill } from '../loads/fill.js'
import { KeyPool, keyAt } from '../loads/keys.js'
import type { Load } from '../loads/load.js'
import { watchCall } from '../loads/watch-calls.js'
import type { WatchCall } from '../loads/watch-calls.js'
import type { Peer, PeerClient, RestartablePeer } from '../peers/peer.js'
import type { Answers, Command, Ran, Reply, Started } from './commands.js'

/** Of all keys, after a restart. */
const LOOKED_AT = 1_000

class StandProcess {
  private peer: Peer | undefined
  private clients: PeerClient[] = []
  private pool = new KeyPool(0)
  private filled = { keys: 0, valueBytes: 0 }
  private inserted = 0

  async obey(command: Command): Promise<Answers[Command['do']]> {
    switch (command.do) {
      case 'start':
        return this.start(command.contender)
      case 'fill':
        return this.fill(command.keys, command.valueBytes)
      case 'run':
        return this.run(command.load, command.seconds, command.seed)
      case 'memory':
        return this.peer?.memoryBytes?.() ?? null
      case 'restart':
        return this.restart(command.keys)
    }
  }

  async stop(): Promise<void> {
    await this.disconnect()
    const { peer } = this
    this.peer = undefined
    await peer?.stop()
  }

  private async start(contender: ContenderName): Promise<Started> {
    const peer = await CONTENDERS[contender]()
    if ('absent' in peer) return { name: peer.name, absent: peer.absent }
    this.peer = peer
    return { name: peer.name, settings: peer.settings }
  }

  private async fill(keys: number, valueBytes: number): Promise<null> {
    const isSame = this.filled.valueBytes === valueBytes
    const from = isSame ? this.filled.keys : 0
    if (from >= keys) return null
    const [client] = await this.connected(1)
    await fill(client as PeerClient, { from, to: keys, valueBytes })
    this.filled = { keys, valueBytes }
    return null
  }

  private async run(load: Load, seconds: number, seed: number): Promise<Ran> {
    // A watcher that is the writer, too, would hear of changes by the connection that it makes them on.
    const clients = await this.connected(load.kind === 'watch' ? 2 : load.clients)
    if (this.pool.count !== load.keys) this.pool = new KeyPool(load.keys)
    const watches: WatchCall[] = []
    try {
      const lanes =
        load.kind === 'watch'
          ? await this.watchLanes(load, clients, watches)
          : await this.lanes(load, clients, seed)
      return await runLanes(lanes, seconds)
    } catch (error) {
      if (error instanceof NoSuchCallError) return { noCall: error.message }
      throw error
    } finally {
      for (const { end } of watches) await end()
    }
  }

  private async lanes(load: Load, clients: readonly PeerClient[], seed: number): Promise<Call[]> {
    await assertAnswers(clients[0] as PeerClient, load)
    const callOn = callsOn({ load, pool: this.pool, seed, nextNew: () => this.nextNew(load.keys) })
    const calls = clients.slice(0, load.clients).map((client) => callOn(client))
    return Array.from({ length: load.inFlight }, (_, lane) => calls[lane % calls.length] as Call)
  }

  private async watchLanes(
    load: Load,
    [writer, watcher]: readonly PeerClient[],
    watches: WatchCall[],
  ): Promise<Call[]> {
    for (let lane = 0; lane < load.inFlight; lane += 1) {
      watches.push(await watchCall(writer as PeerClient, watcher as PeerClient, lane))
    }
    return watches.map(({ call }) => call)
  }

  private nextNew(keys: number): number {
    this.inserted += 1
    return keys + this.inserted
  }

  /** What it had before it was killed is looked at after: a start that forgets would be fast. */
  private async restart(keys: number): Promise<number | null> {
    const peer = this.peer
    if (peer === undefined || !isRestartable(peer)) return null
    await this.disconnect()
    await peer.kill()
    const started = performance.now()
    await peer.restart()
    const elapsedMs = performance.now() - started
    const [client] = await this.connected(1)
    for (let looked = 0; looked < LOOKED_AT; looked += 1) {
      const key = keyAt(Math.floor((looked * keys) / LOOKED_AT))
      const found = await client?.get(key)
      if (found === undefined || found === null) throw new Error(`${key} is gone after a restart`)
    }
    return elapsedMs
  }

  private async connected(count: number): Promise<readonly PeerClient[]> {
    if (this.peer === undefined) throw new Error('the store is not started')
    while (this.clients.length < count) this.clients.push(await this.peer.connect())
    return this.clients
  }

  private async disconnect(): Promise<void> {
    const closing = this.clients
    this.clients = []
    await Promise.allSettled(closing.map((client) => client.close()))
  }
}

function isRestartable(peer: Peer): peer is RestartablePeer {
  return 'restart' in peer && 'kill' in peer
}

/** Closing may wait for calls that nobody answers any more. */
const STOP_MS = 10_000

const stand = new StandProcess()
process.on('disconnect', () => {
  const stopped = stand.stop().catch(() => undefined)
  void Promise.race([stopped, delay(STOP_MS)]).then(() => process.exit())
})
process.on('message', (command: Command) => {
  void stand
    .obey(command)
    .then((answer): Reply => ({ answer }))
    .catch((error: unknown): Reply => {
      return { failed: error instanceof Error ? error.message : String(error) }
    })
    .then((reply) => process.send?.(reply))
})
