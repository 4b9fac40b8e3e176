/**
 * Who works next, of connections that want more than there is time for (P7).
 *
 * While a turn of the event loop has time left and nobody waits, everybody's work is done at once.
 * Beyond that it waits, and goes on in later turns in an order by fair queueing: each piece has a
 * start, the end of what its connection had before or the present, whichever is later, and an end,
 * later by what it is expected to cost: as much as those before it. The earliest end is next. So a
 * connection that asks for little comes before those that ask for much, each of which gets an equal part of the
 * rest; within a connection the order stays. Nobody owes anything from times when nobody waited.
 */
import TinyQueue from 'tinyqueue'

/** Work of one turn, in cost: what is beyond waits for the next one, and sockets are read between. */
export const TURN_COST_MAX = 1_048_576

/** What a call costs beside the bytes that it brings or gets; one that looks at many keys, each of them. */
export const CALL_COST = 1_024

/** The part of one connection: what it wants done, and what it has had. */
export class Share<Item> {
  /** Where its last piece ends, in the cost that a connection has had. */
  end = 0
  /** What its next piece is expected to cost. */
  estimate = 0
  /** Whether it is among those whose turn comes. */
  hasPlace = false
  waiting: Item[] = []
}

interface Place<Item> {
  readonly start: number
  readonly end: number
  /** Of two that end together, the one that asked first. */
  readonly order: number
  readonly share: Share<Item>
}

export interface FairTurnsPorts<Item> {
  /** Does the work. It says by `charge` what it cost. */
  work(item: Item): void
  /** Nothing can be done now, whoever's turn it is; `goOn` is called when that has changed. */
  isBlocked?(): boolean
  /** What waited has been done as far as this turn goes. */
  onTurnEnd?(): void
}

export class FairTurns<Item> {
  private readonly ports: FairTurnsPorts<Item>
  /** One for each share that waits. */
  private places = new TinyQueue<Place<Item>>([], byEnd)
  private present = 0
  private latestEnd = 0
  private spent = 0
  private asked = 0
  private isTurnOpen = false
  private isRunning = false

  constructor(ports: FairTurnsPorts<Item>) {
    this.ports = ports
  }

  get isWaiting(): boolean {
    return this.places.length > 0
  }

  /** Whether the share may do a piece of work at once, without having asked. */
  admits(share: Share<Item>): boolean {
    if (this.places.length > 0 || !this.canWork) return false
    this.present = this.latestEnd
    share.end = Math.max(this.present, share.end)
    return true
  }

  /** Does the work now, or in its turn. */
  ask(share: Share<Item>, item: Item): void {
    if (this.admits(share)) this.run(item)
    else {
      share.waiting.push(item)
      this.enter(share)
    }
    this.goOn()
  }

  /** What the share's work cost, in bytes; to be said before the work returns. */
  charge(share: Share<Item>, cost: number): void {
    share.end += cost
    share.estimate = (share.estimate + cost) / 2
    this.latestEnd = Math.max(this.latestEnd, share.end)
    this.spent += cost
    if (!this.isTurnOpen) this.openTurn()
  }

  /** Does what waits, as far as this turn goes. */
  goOn(): void {
    if (this.isRunning) return
    while (this.places.length > 0 && this.canWork) {
      const { start, share } = this.places.pop()!
      share.hasPlace = false
      this.present = Math.max(this.present, start)
      share.end = start
      const item = share.waiting.shift()
      if (item === undefined) continue
      this.run(item)
      if (share.waiting.length > 0) this.enter(share)
    }
    if (this.places.length > 0 && !this.isTurnOpen && !this.isBlocked) this.openTurn()
  }

  /** Takes out what waits and is not to be done any more. */
  withdraw(isOver: (item: Item) => boolean): void {
    const asked = this.places.data.toSorted((one, other) => one.order - other.order)
    this.places = new TinyQueue<Place<Item>>([], byEnd)
    for (const { share } of asked) {
      share.hasPlace = false
      share.waiting = share.waiting.filter((item) => !isOver(item))
      if (share.waiting.length > 0) this.enter(share)
    }
  }

  /** The share is over: what it waits for is not done any more. */
  forget(share: Share<Item>): void {
    share.waiting = []
  }

  private get isBlocked(): boolean {
    return this.ports.isBlocked?.() === true
  }

  private get canWork(): boolean {
    return this.spent < TURN_COST_MAX && !this.isRunning && !this.isBlocked
  }

  private run(item: Item): void {
    this.isRunning = true
    try {
      this.ports.work(item)
    } finally {
      this.isRunning = false
    }
  }

  private openTurn(): void {
    this.isTurnOpen = true
    setImmediate(() => {
      this.isTurnOpen = false
      this.spent = 0
      if (this.places.length === 0) return
      this.goOn()
      this.ports.onTurnEnd?.()
    })
  }

  private enter(share: Share<Item>): void {
    if (share.hasPlace) return
    share.hasPlace = true
    this.asked += 1
    const start = Math.max(this.present, share.end)
    this.places.push({ start, end: start + share.estimate, order: this.asked, share })
  }
}

/** The earliest end first. */
function byEnd(one: Place<unknown>, other: Place<unknown>): number {
  return one.end - other.end || one.order - other.order
}
