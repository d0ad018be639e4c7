export { loadSettings } from './load.ts';
export { printConfig } from './print.ts';
export { type Config, defineSettings, type Setting, type SettingRows, setting } from './settings.ts';
