/**
 * What the copies of one volume share in a child. Each volume has its own: a failing or hanging disk must
 * not stop what is on another.
 */
import type { Configuration } from '../link/control.js'
import { Journals } from '../shard/journal/journals.js'
import { nodeFileSystem } from '../shard/log/file-system.js'
import { OpeningTurns } from '../shard/opening-turns.js'

export interface Volume {
  readonly journals: Journals
  readonly openings: OpeningTurns
}

export class Volumes {
  private readonly configuration: Pick<Configuration, 'childId' | 'fsync'>
  private readonly known = new Map<string, Volume>()

  constructor(configuration: Pick<Configuration, 'childId' | 'fsync'>) {
    this.configuration = configuration
  }

  at(volume: string): Volume {
    const known = this.known.get(volume)
    if (known !== undefined) return known
    const { childId, fsync } = this.configuration
    const journals = new Journals({ files: nodeFileSystem, volume, childId, fsync })
    const made = { journals, openings: new OpeningTurns() }
    this.known.set(volume, made)
    return made
  }

  /** To be called once every copy is closed. */
  async close(): Promise<void> {
    await Promise.all([...this.known.values()].map(({ journals }) => journals.close()))
  }
}
