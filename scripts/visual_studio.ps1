# Sets $cmake and $ctest to those of the newest Visual Studio.

$vswhere = Join-Path ${env:ProgramFiles(x86)} 'Microsoft Visual Studio\Installer\vswhere.exe'
if (-not (Test-Path $vswhere)) {
    throw 'Visual Studio 2022 is not installed. It is needed with the workload "Desktop development with C++".'
}
$studio = & $vswhere -latest -products '*' -requires Microsoft.VisualStudio.Component.VC.CMake.Project -property installationPath
if (-not $studio) {
    throw 'Visual Studio is installed without its CMake: add "C++ CMake tools for Windows" by its installer.'
}
$tools = Join-Path $studio 'Common7\IDE\CommonExtensions\Microsoft\CMake\CMake\bin'
$cmake = Join-Path $tools 'cmake.exe'
$ctest = Join-Path $tools 'ctest.exe'

function Invoke-Checked([string]$Program, [string[]]$Arguments) {
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) {
        throw "$Program $Arguments ended with $LASTEXITCODE"
    }
}
