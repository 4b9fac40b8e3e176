/**
 * The second entry of a child: Node.js loads it before the program of the packages, and it puts a
 * known bug into that process. Nothing in the packages knows of it.
 */
import { CANARIES } from './canaries.js'

const name = process.env['FAULTS_CANARY'] ?? ''
const canary = CANARIES[name]
if (canary === undefined) throw new Error(`there is no canary ${name}`)
const isChild = process.argv[1]?.endsWith('main.js') === true && process.connected
// The coordinator has the same environment, and hands it on.
if (isChild) await canary.release()
