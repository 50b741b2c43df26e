# Builds and tests proloop with Visual Studio, preset by preset (see CMakePresets.json).
#
#   scripts\test.ps1                                        x64
#   scripts\test.ps1 windows-msvc-x64 windows-msvc-x86      these
#
# The exit code is 0 if nothing failed.

param([Parameter(ValueFromRemainingArguments)] [string[]]$Presets = @('windows-msvc-x64'))

$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'visual_studio.ps1')
Set-Location (Join-Path $PSScriptRoot '..')

$failed = 0
$rows = foreach ($preset in $Presets) {
    Write-Host "`n== $preset"
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    try {
        Invoke-Checked $cmake @('--preset', $preset) | Out-Host
        Invoke-Checked $cmake @('--build', '--preset', $preset, '--parallel') | Out-Host
        Invoke-Checked $ctest @('--preset', $preset) | Out-Host
        $result = 'passed'
    } catch {
        Write-Host $_
        $result = 'failed'
        $failed++
    }
    [pscustomobject]@{ Preset = $preset; Result = $result; Seconds = [int]$watch.Elapsed.TotalSeconds }
}
$rows | Format-Table | Out-Host
Write-Host "$($Presets.Count - $failed) passed, $failed failed"
exit [int]($failed -ne 0)
