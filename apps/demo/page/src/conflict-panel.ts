/**
 * A write that was refused because somebody else had written: both, side by side, and the choice.
 */
import type { City } from '../../src/city-keys.js'
import { whole } from '../../src/figures.js'
import { element } from './element.js'
import type { CityEntry } from './record-panel.js'

export interface Conflict {
  /** What the edit began with. */
  readonly seen: CityEntry
  readonly mine: City
  /** What is stored now; nothing if it was deleted. */
  readonly current: CityEntry | undefined
  readonly onKeep: () => void
  readonly onOverwrite: () => void
}

export function conflictPanel(conflict: Conflict): HTMLElement {
  const { seen, mine, current, onKeep, onOverwrite } = conflict
  const theirs = current === undefined ? 'deleted' : whole(current.value.population)
  const version = current === undefined ? 'no version' : `version ${whole(current.version)}`
  return element(
    'div',
    { className: 'conflict', tabIndex: -1, attributes: { role: 'alert' } },
    element('h4', {}, 'Somebody else was faster'),
    element(
      'p',
      {},
      `You began with version ${whole(seen.version)}, so the node refused your write. ` +
        'Nothing was overwritten.',
    ),
    element(
      'div',
      { className: 'sides' },
      side('Yours', 'not written', whole(mine.population)),
      side('Stored', version, theirs),
    ),
    element(
      'div',
      { className: 'row' },
      element('button', { type: 'button', onclick: onKeep }, 'Keep theirs'),
      element('button', { type: 'button', className: 'plain', onclick: onOverwrite }, 'Write mine'),
    ),
  )
}

function side(title: string, version: string, population: string): HTMLElement {
  return element(
    'div',
    { className: 'side', attributes: { 'data-side': title.toLowerCase() } },
    element('span', { className: 'quiet small' }, `${title}, ${version}`),
    element('strong', {}, population),
  )
}
