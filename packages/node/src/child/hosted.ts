/** A copy of a shard in this process, and what is known of it. */
import type { Hosting } from '../link/control.js'
import type { Backup } from '../shard/backup.js'
import type { Shard } from '../shard/shard.js'

/** A copy that this process has open, or is opening as primary. */
export interface Hosted {
  readonly place: Hosting
  readonly epoch: number
  readonly topologyVersion: number
  shard: Shard | undefined
  backup: Backup | undefined
  /** As primary: clients are served. */
  isServed: boolean
  /** Why it can't go on. */
  failure: Error | undefined
  closing: Promise<void> | undefined
}

export function newHosted(
  place: Hosting,
  { epoch, topologyVersion }: Pick<Hosted, 'epoch' | 'topologyVersion'>,
): Hosted {
  return {
    place,
    epoch,
    topologyVersion,
    shard: undefined,
    backup: undefined,
    isServed: false,
    failure: undefined,
    closing: undefined,
  }
}

export function isSame(one: Hosting, other: Hosting): boolean {
  return one.copy === other.copy && one.hosting === other.hosting
}

export function alreadyHosted({ place }: Hosted): string {
  const { shard, copy, hosting } = place
  return `copy ${copy} of shard ${shard} is hosted here already, as hosting ${hosting}`
}

/**
 * The last hosting of each shard that has ended here. The coordinator numbers them in growing order, and
 * takes the directory of one that has ended for closed: an order for it crossed the word of its end.
 */
export class EndedHostings {
  private readonly last = new Map<number, number>()

  note(shard: number, hosting: number): void {
    this.last.set(shard, Math.max(hosting, this.last.get(shard) ?? 0))
  }

  /** Whether this one or a later one has ended. */
  isPast({ shard, hosting }: Hosting): boolean {
    return hosting <= (this.last.get(shard) ?? 0)
  }
}
