/** Connections of simulated copies: what is on the way, and what is left of it when they are cut. */
import type { ToFollower, ToPrimary } from '../messages.js'

/** Messages that may turn up later. */
const STALE_MAX = 20

export class SimulatedLink {
  readonly toFollower: ToFollower[] = []
  readonly toPrimary: ToPrimary[] = []
}

interface Stale {
  readonly copy: number
  readonly epoch: number
  putInto(link: SimulatedLink): void
}

export class StaleMessages {
  private readonly messages: Stale[] = []
  private readonly random: () => number

  constructor(random: () => number) {
    this.random = random
  }

  keep(copy: number, { toFollower, toPrimary }: SimulatedLink): void {
    for (const message of toFollower) {
      const putInto = (link: SimulatedLink): void => void link.toFollower.push(message)
      this.messages.push({ copy, epoch: message.epoch, putInto })
    }
    for (const message of toPrimary) {
      const putInto = (link: SimulatedLink): void => void link.toPrimary.push(message)
      this.messages.push({ copy, epoch: message.epoch, putInto })
    }
    this.messages.splice(0, this.messages.length - STALE_MAX)
  }

  /** A message of an earlier epoch's conversation turns up in the one that stands. */
  confuse(epoch: number, links: ReadonlyMap<number, SimulatedLink>): void {
    const older = this.messages.filter((message) => message.epoch !== epoch)
    const stale = older[Math.floor(this.random() * older.length)]
    const link = stale === undefined ? undefined : links.get(stale.copy)
    if (link !== undefined) stale?.putInto(link)
  }
}
