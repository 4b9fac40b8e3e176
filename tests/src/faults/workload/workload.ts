/**
 * Clients that work on cells until they are told to stop; everything they do is in the history.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { UntypedClient } from '@kv/client'
import { SeededRandom } from '../../load/seeded-random.js'
import type { History } from '../history/history.js'
import type { CellKind } from './cell.js'
import { Cell } from './cell.js'
import { perform } from './perform.js'

export interface WorkloadOptions {
  /** Begins every key. */
  readonly prefix: string
  readonly cells: number
  /** Calls under way on one cell at a time, each by another client. */
  readonly lanesPerCell: number
  /** After so many operations a cell takes fresh keys. */
  readonly operationsMax: number
}

const KINDS: readonly CellKind[] = [
  'mixed',
  'mixed',
  'counter',
  'atomic',
  'mixed',
  'ttl',
  'counter',
  'hot',
]

/** After a call that failed, so that a node that is down is not asked in a tight loop. */
const PAUSE_MS = 5

export class Workload {
  private readonly clients: readonly UntypedClient[]
  private readonly history: History
  private readonly lanes: Promise<void>[] = []
  private isEnding = false

  constructor(
    clients: readonly UntypedClient[],
    history: History,
    options: WorkloadOptions,
    random: SeededRandom,
  ) {
    this.clients = clients
    this.history = history
    const { prefix, cells, lanesPerCell, operationsMax } = options
    for (let number = 0; number < cells; number += 1) {
      const kind = KINDS[number % KINDS.length] as CellKind
      const seed = new SeededRandom(random.next())
      const cell = new Cell({ kind, prefix: `${prefix}${number}.`, operationsMax }, seed)
      for (let lane = 0; lane < lanesPerCell; lane += 1) {
        const running = this.run(cell, (number * lanesPerCell + lane) % clients.length, seed)
        // Heard of in `end`, however early it fails.
        running.catch(() => undefined)
        this.lanes.push(running)
      }
    }
  }

  private async run(cell: Cell, number: number, random: SeededRandom): Promise<void> {
    const client = this.clients[number] as UntypedClient
    while (!this.isEnding) {
      const action = cell.next()
      const withVersions = random.below(2) === 0
      const answer = await this.history.perform(number + 1, action, () =>
        perform(client, action, withVersions),
      )
      if (answer !== undefined) {
        cell.learn(action, answer)
        continue
      }
      if (action.type !== 'read') cell.lost()
      await delay(PAUSE_MS)
    }
  }

  /** Resolves when nothing is under way; rejects with what no fault explains. */
  async end(): Promise<void> {
    this.isEnding = true
    await Promise.allSettled(this.lanes)
    await Promise.all(this.lanes)
  }
}
