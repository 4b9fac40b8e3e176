/**
 * A client: the calls on the whole keyspace of a node, and the connection behind them.
 *
 * Types are loose here: `createClient` gives users the typed interface (`KvClient`), whose methods
 * these are.
 */
import type { ClientEvents, Listener } from './events.js'
import type { CallOptions } from './keyspace.js'
import { KeyspaceCalls } from './keyspace-calls.js'
import { CALL_OPTIONS } from './known-options.js'
import { LockCalls } from './lock/lock-calls.js'
import { watchGoneOf } from './lock/watch-gone.js'
import { ManyCalls } from './many-calls.js'
import { mistakeIn } from './mistakes.js'
import { RangeCalls } from './range-calls.js'
import type { SessionSettings, SessionStatus, SessionSurroundings } from './session/session.js'
import { Session } from './session/session.js'
import { PLAIN_VIEW } from './key-view.js'
import { ValueScratch } from './value-scratch.js'

export class Client extends KeyspaceCalls {
  constructor(settings: SessionSettings, surroundings: SessionSurroundings) {
    const session = new Session(settings, surroundings)
    const many = new ManyCalls(session)
    const ranges = new RangeCalls(session)
    const locks = new LockCalls({ session, many, watchGone: watchGoneOf(session) })
    super({ session, many, ranges, locks, scratch: new ValueScratch() }, PLAIN_VIEW)
  }

  get status(): SessionStatus {
    return this.session.status
  }

  on<E extends keyof ClientEvents>(event: E, listener: Listener<E>): () => void {
    return this.session.events.on(event, listener)
  }

  async connect(options?: CallOptions): Promise<void> {
    try {
      await this.session.connect(this.deadlineOf(options, CALL_OPTIONS), options?.signal)
    } catch (error) {
      throw mistakeIn('connect', undefined, error)
    }
  }

  close(): Promise<void> {
    return this.session.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
