/**
 * Reads cities at random for as long as it is switched on, so that the map has something to show.
 */
import type { Keyspace } from '@kv/client'
import type { CityKey, CitySchema } from '../../src/city-keys.js'
import { element } from './element.js'

const KEYS_KNOWN = 5_000
const READS_AT_ONCE = 200
const PAUSE_MS = 50

export class Traffic {
  readonly element: HTMLElement
  private readonly kv: Pick<Keyspace<CitySchema>, 'getMany' | 'keys'>
  private readonly button: HTMLButtonElement
  private isOn = false

  constructor(kv: Pick<Keyspace<CitySchema>, 'getMany' | 'keys'>) {
    this.kv = kv
    this.button = element('button', {
      type: 'button',
      className: 'plain',
      onclick: () => this.toggle(),
    })
    this.element = this.button
    this.paint()
  }

  private toggle(): void {
    this.isOn = !this.isOn
    this.paint()
    if (this.isOn) void this.run()
  }

  private async run(): Promise<void> {
    try {
      const keys = await this.kv.keys({ prefix: 'city:', limit: KEYS_KNOWN }).toArray()
      while (this.isOn && keys.length > 0) {
        const some = Array.from({ length: READS_AT_ONCE }, () => anyOf(keys as CityKey[]))
        await this.kv.getMany(some)
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      }
    } finally {
      this.isOn = false
      this.paint()
    }
  }

  private paint(): void {
    this.button.textContent = this.isOn ? 'Stop reading' : 'Read cities at random'
    this.button.ariaPressed = String(this.isOn)
  }
}

function anyOf<Item>(items: readonly Item[]): Item {
  return items[Math.floor(Math.random() * items.length)] as Item
}
