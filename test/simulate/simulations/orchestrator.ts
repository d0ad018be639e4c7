export { simulation } from '../../../services/orchestrator/test/simulation/simulation.ts';
